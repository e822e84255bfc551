"""The library {{ cookiecutter.project_slug }}; see its README."""
{% if cookiecutter.starter == "opentelemetry" %}

from {{ cookiecutter.package_name }}.metrics import (
    configure,
    create_counter,
    create_histogram,
    increment_counter,
    timed,
)

__all__ = ["configure", "create_counter", "create_histogram", "increment_counter", "timed"]
{% endif %}
