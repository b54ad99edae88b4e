"""The Engagement Center: pages for master accounts (R2, R9)."""

from django.urls import path

from engagement.views import aids, broadcasts, center, composer, customers, performance, steering

app_name = "engagement"
urlpatterns = [
    path("", center.show_center, name="center"),
    path("customers/", customers.show_customers, name="customers"),
    path("customers/rooms/", customers.show_rooms, name="rooms"),
    path("broadcasts/new/", composer.compose, name="compose"),
    path("broadcasts/audience/", aids.show_audience, name="audience"),
    path("broadcasts/preview/", aids.show_preview, name="preview"),
    path("broadcasts/products/", aids.pick_products, name="products"),
    path("broadcasts/<int:pk>/", broadcasts.show_broadcast, name="broadcast"),
    path("broadcasts/<int:pk>/progress/", broadcasts.show_progress, name="progress"),
    path("broadcasts/<int:pk>/customers.csv", broadcasts.export_recipients, name="export"),
    path("broadcasts/<int:pk>/edit/", composer.edit, name="edit"),
    path("broadcasts/<int:pk>/stop/", steering.stop, name="stop"),
    path("broadcasts/<int:pk>/pause/", steering.pause, name="pause"),
    path("broadcasts/<int:pk>/resume/", steering.resume, name="resume"),
    path("broadcasts/<int:pk>/wake/", broadcasts.wake, name="wake"),
    path("broadcasts/<int:pk>/cancel/", broadcasts.cancel, name="cancel"),
    path("broadcasts/<int:pk>/duplicate/", broadcasts.duplicate, name="duplicate"),
    path("performance/", performance.show_performance, name="performance"),
    path("performance/broadcasts/", performance.show_broadcasts, name="performance-broadcasts"),
    path("performance/broadcasts.csv", performance.export_broadcasts, name="performance-export"),
    path("performance/seller/", performance.show_seller, name="performance-seller"),
    path("performance/seller/today/", performance.show_today, name="performance-today"),
]
