"""Forms of the benchmark page."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from annotation.models import ModelVersion
from training.models.benchmarks import TASKS

AS_CHOICES = [(task.value, words) for task, words in TASKS.items()]
# The media in the rows are decoded while the person waits.
MAX_UPLOAD_BYTES = 32 * 1024 * 1024


class RegisterForm(forms.Form):
    """A JSONL file, plain or gzipped, with media as data: URLs."""

    file = forms.FileField(
        error_messages={
            "required": _("Choose a .jsonl file first."),
            "empty": _("This file is empty. Choose one with at least one line."),
        }
    )
    name = forms.SlugField(max_length=80, required=False)
    task = forms.ChoiceField(required=False, choices=[("", _("as the rows are labelled")), *AS_CHOICES])
    licence = forms.CharField(max_length=300, required=False)
    over_refusal = forms.BooleanField(required=False)

    def clean_file(self) -> "UploadedFile[Any]":
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_UPLOAD_BYTES:
            raise forms.ValidationError(
                _(
                    "This file is larger than %(most)s MiB. Register it on the server: manage.py "
                    "register_benchmark FILE."
                )
                % {"most": MAX_UPLOAD_BYTES // 1024 // 1024}
            )
        return file


class EvaluateForm(forms.Form):
    version = forms.ModelChoiceField(
        ModelVersion.objects.all(),
        error_messages={"required": _("Choose a version."), "invalid_choice": _("This version does not exist.")},
    )
