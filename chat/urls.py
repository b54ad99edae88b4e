"""The seller's chat."""

from django.urls import path

from chat import views

urlpatterns = [
    path("chat/", views.show_inbox, name="chat"),
    path("chat/settings/", views.show_settings, name="chat-settings"),
    path("chat/settings/rate/", views.show_rate, name="chat-rate"),
    path("chat/<int:pk>/", views.show_thread, name="chat-thread"),
    path("chat/<int:pk>/messages/", views.show_messages, name="chat-messages"),
    path("chat/<int:pk>/reply/", views.reply, name="chat-reply"),
    path("chat/<int:pk>/seen/", views.see, name="chat-seen"),
]
