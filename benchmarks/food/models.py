"""Food products with what is in 100 g of them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


def grams() -> models.FloatField:
    """Grams in 100 g, which are unknown for many products."""
    limits = [MinValueValidator(0), MaxValueValidator(100)]
    return models.FloatField(null=True, blank=True, validators=limits)


class Food(models.Model):
    barcode = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=255)
    ingredients = models.TextField(blank=True)
    image = models.CharField(max_length=255, blank=True)
    fat = grams()
    saturated_fats = grams()
    carbohydrate = grams()
    sugar = grams()
    dietary_fiber = grams()
    protein = grams()
    salt = grams()
    sodium = grams()
    alcohol = grams()
    is_healthy = models.BooleanField()

    class Meta:
        verbose_name_plural = "foods"

    def __str__(self) -> str:
        return self.name
