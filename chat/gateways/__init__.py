"""Ways to chats that are not our own: what they are asked, what they answer, and where they are."""
