"""What sellers do, and the page of the buyers whom they reach."""

from django.urls import path

from engagement.views import buyer, foreign_receipts, home

urlpatterns = [
    path("", home.show_home, name="home"),
    path("home/figures/", home.show_figures, name="home-figures"),
    path("chats/<str:gateway>/receipts", foreign_receipts.take_in, name="foreign-receipts"),
    path("b/<str:token>/", buyer.show_shops, name="buyer"),
    path("b/<str:token>/mute/", buyer.mute_all, name="buyer-mute-all"),
    path("b/<str:token>/shops/<int:seller_id>/", buyer.show_shop, name="buyer-shop"),
    path("b/<str:token>/shops/<int:seller_id>/read/", buyer.read, name="buyer-read"),
    path("b/<str:token>/shops/<int:seller_id>/write/", buyer.write, name="buyer-write"),
    path("b/<str:token>/shops/<int:seller_id>/mute/", buyer.mute_shop, name="buyer-mute-shop"),
    path(
        "b/<str:token>/shops/<int:seller_id>/messages/<int:content_id>/click/",
        buyer.click,
        name="buyer-click",
    ),
    path(
        "b/<str:token>/shops/<int:seller_id>/messages/<int:content_id>/claim/",
        buyer.claim,
        name="buyer-claim",
    ),
    path(
        "b/<str:token>/shops/<int:seller_id>/messages/<int:content_id>/report/",
        buyer.report,
        name="buyer-report",
    ),
    path(
        "b/<str:token>/shops/<int:seller_id>/products/<int:product_id>/",
        buyer.show_product,
        name="buyer-product",
    ),
]
