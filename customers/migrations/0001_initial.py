"""Whom a seller can reach: buyers, contacts, products, vouchers, orders, and the signals that tell of them."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Buyer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(help_text="The marketplace's own id of the buyer", max_length=64)),
                ("name", models.CharField(max_length=80)),
                (
                    "muted_at",
                    models.DateTimeField(
                        blank=True, help_text="Since when the buyer mutes all CEM messages", null=True
                    ),
                ),
                (
                    "erased_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Since when nothing names the person any more",
                        null=True,
                    ),
                ),
                (
                    "market",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="buyers",
                        to="sellers.market",
                    ),
                ),
            ],
            options={
                "permissions": [("erase_buyer", "Can erase a buyer")],
                "indexes": [
                    models.Index(
                        condition=models.Q(("muted_at__isnull", False)), fields=["id"], name="buyer_muted"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("market", "code"), name="buyer_code_per_market")
                ],
            },
        ),
        migrations.CreateModel(
            name="Contact",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "seller_id", "buyer_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "followed_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "viewed_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "cart_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "wish_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "unpaid_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "ordered_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "paid_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "unreviewed_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                (
                    "read_times",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), blank=True, default=list, size=5
                    ),
                ),
                ("orders", models.PositiveIntegerField(db_default=0, default=0)),
                ("spent", models.DecimalField(db_default=0, decimal_places=2, default=0, max_digits=32)),
                ("messages", models.PositiveIntegerField(db_default=0, default=0)),
                ("reads", models.PositiveIntegerField(db_default=0, default=0)),
                ("muted_at", models.DateTimeField(null=True)),
                ("follow_at", models.DateTimeField(null=True)),
                ("follow_event", models.CharField(db_default="", default="", max_length=64)),
                (
                    "buyer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="customers.buyer",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("muted_at__isnull", False)),
                        fields=["seller", "buyer"],
                        name="contact_muted",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=64)),
                ("title", models.CharField(max_length=160)),
                ("price", models.DecimalField(decimal_places=2, max_digits=14)),
                ("in_stock", models.BooleanField(default=True)),
                (
                    "tile",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Which drawn tile stands for the product's picture"
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="products",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "code"), name="product_code_per_seller"),
                    models.CheckConstraint(
                        condition=models.Q(("price__gte", 0)), name="product_price_not_negative"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Line",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(choices=[("cart", "cart"), ("wish", "wishlist")], max_length=4)),
                ("live", models.BooleanField()),
                ("at", models.DateTimeField()),
                ("event", models.CharField(max_length=64)),
                (
                    "buyer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="customers.buyer",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="customers.product",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("seller", "buyer", "kind", "product"), name="one_line_per_product"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Voucher",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=64)),
                ("title", models.CharField(max_length=160)),
                (
                    "discount",
                    models.DecimalField(
                        decimal_places=2, help_text="In the market's currency", max_digits=14
                    ),
                ),
                ("min_spend", models.DecimalField(decimal_places=2, default=0, max_digits=14)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("quantity", models.PositiveIntegerField(help_text="How many buyers can claim it")),
                ("claimed", models.PositiveIntegerField(default=0)),
                (
                    "seller",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="vouchers",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "code"), name="voucher_code_per_seller"),
                    models.CheckConstraint(
                        condition=models.Q(("claimed__lte", models.F("quantity"))),
                        name="voucher_claimed_within_quantity",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("starts_at__lt", models.F("ends_at"))),
                        name="voucher_starts_before_it_ends",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("discount__gt", 0)), name="voucher_discount_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Signal",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "market_id", "event", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event", models.CharField(help_text="The marketplace's own id of the event", max_length=64)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("followed", "Followed"),
                            ("unfollowed", "Unfollowed"),
                            ("viewed", "Viewed"),
                            ("cart_added", "Cart Added"),
                            ("cart_removed", "Cart Removed"),
                            ("wish_added", "Wish Added"),
                            ("wish_removed", "Wish Removed"),
                            ("ordered", "Ordered"),
                            ("paid", "Paid"),
                            ("cancelled", "Cancelled"),
                            ("expired", "Expired"),
                            ("received", "Received"),
                            ("reviewed", "Reviewed"),
                        ],
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("order_code", models.CharField(blank=True, default="", max_length=64)),
                ("amount", models.DecimalField(decimal_places=2, max_digits=14, null=True)),
                ("pay_by", models.DateTimeField(null=True)),
                (
                    "buyer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="customers.buyer",
                    ),
                ),
                (
                    "market",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="sellers.market",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="customers.product",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
                (
                    "voucher",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="customers.voucher",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("kind__in", ["followed", "unfollowed"])),
                        fields=["seller", "buyer", "at"],
                        name="signal_follows",
                    ),
                    models.Index(
                        condition=models.Q(("order_code", ""), _negated=True),
                        fields=["seller", "order_code"],
                        name="signal_of_order",
                    ),
                    models.Index(
                        condition=models.Q(
                            (
                                "kind__in",
                                ["viewed", "cart_added", "cart_removed", "wish_added", "wish_removed"],
                            )
                        ),
                        fields=["at"],
                        name="signal_by_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=64)),
                ("amount", models.DecimalField(decimal_places=2, default=0, max_digits=24)),
                ("placed_at", models.DateTimeField(null=True)),
                ("pay_by", models.DateTimeField(null=True)),
                ("paid_at", models.DateTimeField(null=True)),
                ("cancelled_at", models.DateTimeField(null=True)),
                ("received_at", models.DateTimeField(null=True)),
                ("reviewed_at", models.DateTimeField(null=True)),
                (
                    "buyer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="customers.buyer",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
                (
                    "voucher",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="customers.voucher",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["seller", "buyer", "placed_at"], name="order_of_contact"),
                    models.Index(fields=["paid_at"], name="order_by_payment"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "code"), name="order_code_per_seller"),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 0)), name="order_amount_not_negative"
                    ),
                ],
            },
        ),
        # Room on each page, so that the update of a contact touches no index (HOT).
        migrations.RunSQL(
            "ALTER TABLE customers_contact SET (fillfactor = 85)",
            "ALTER TABLE customers_contact RESET (fillfactor)",
        ),
    ]
