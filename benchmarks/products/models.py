"""Products with columns of every usual type, two references and a JSON field."""

from django.db import models


class Category(models.Model):
    code = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.code


class Brand(models.Model):
    code = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.code


class Product(models.Model):
    sku = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    category = models.ForeignKey(Category, models.PROTECT)
    brand = models.ForeignKey(Brand, models.PROTECT)
    description = models.TextField()
    price = models.DecimalField(max_digits=12, decimal_places=2)
    stock = models.IntegerField()
    enabled = models.BooleanField()
    released_on = models.DateField()
    changed_at = models.DateTimeField()
    values = models.JSONField(default=dict)

    class Meta:
        constraints = (
            models.CheckConstraint(name="stock_is_there", condition=models.Q(stock__gte=0)),
        )

    def __str__(self) -> str:
        return self.sku
