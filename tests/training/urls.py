"""The product's addresses with those of training."""

from django.urls import include, path

from guardapp.urls import urlpatterns as product

urlpatterns = [path("", include("training.api_urls")), path("training/", include("training.urls")), *product]
