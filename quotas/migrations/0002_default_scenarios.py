"""The ten scenarios that every market begins with; staff change them in the admin."""

from django.db import migrations

# code, name, description, hint when empty, tier, charges quota, rechecked, priority, conditions;
# a condition is (fact, options)
SCENARIOS = [
    (
        "unpaid", "Customers with Unpaid Orders",
        "They ordered and have not paid yet.",
        "An order appears here until it is paid or its time to pay is over.",
        "basic", False, True, 10, [("unpaid", {})],
    ),
    (
        "cart", "Customers with Items in Cart",
        "They put an item into the cart in the last 30 days.",
        "A customer appears here when an item of yours lies in their cart.",
        "basic", False, True, 20, [("cart", {"within_days": 30})],
    ),
    (
        "wishlist", "Customers with Items in Wishlist",
        "They wished for an item in the last 30 days and have not bought it.",
        "A customer appears here when they add an item of yours to their wishlist.",
        "basic", False, True, 30, [("wish", {"within_days": 30})],
    ),
    (
        "loyalty", "Loyalty Buyers",
        "They paid two or more orders in the last 365 days.",
        "A customer appears here after their second paid order within a year.",
        "advance", True, False, 40, [("paid", {"at_least": 2, "within_days": 365})],
    ),
    (
        "followers", "Followers",
        "They follow your shop.",
        "Ask buyers to follow your shop: a follower voucher is a common way.",
        "basic", True, False, 100, [("followed", {})],
    ),
    (
        "new_followers", "New Followers",
        "They began to follow your shop in the last 30 days.",
        "Ask buyers to follow your shop: a follower voucher is a common way.",
        "basic", True, False, 100, [("followed", {"within_days": 30})],
    ),
    (
        "visitors", "Recent Visitors",
        "They looked at your shop in the last 14 days, ordered nothing since, and have an empty cart.",
        "A customer appears here after looking at one of your items.",
        "basic", True, False, 100,
        [("viewed", {"within_days": 14, "not_since": "ordered"}), ("cart", {"absent": True})],
    ),
    (
        "past_buyers", "Past Buyers",
        "They paid an order in the last 365 days.",
        "A customer appears here with their first paid order.",
        "basic", True, False, 100, [("paid", {"within_days": 365})],
    ),
    (
        "lapsed_buyers", "Lapsed Buyers",
        "They paid an order once, and none in the last 90 days.",
        "A customer appears here 90 days after their last paid order.",
        "basic", True, False, 100, [("paid", {}), ("paid", {"absent": True, "within_days": 90})],
    ),
    (
        "review", "Review Invitation",
        "They received an order in the last 15 days and have not reviewed it.",
        "A customer appears here when an order arrives, until they review it.",
        "basic", True, False, 100, [("unreviewed", {"within_days": 15})],
    ),
]  # fmt: skip


def create(apps, schema_editor):
    Scenario = apps.get_model("quotas", "Scenario")
    Condition = apps.get_model("quotas", "Condition")
    for code, name, description, hint, tier, charges, rechecked, priority, conditions in SCENARIOS:
        scenario = Scenario.objects.create(
            code=code,
            name=name,
            description=description,
            empty_hint=hint,
            tier=tier,
            charges_quota=charges,
            rechecked=rechecked,
            priority=priority,
        )
        for fact, options in conditions:
            Condition.objects.create(scenario=scenario, fact=fact, **options)


class Migration(migrations.Migration):
    dependencies = [("quotas", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
