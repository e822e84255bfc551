"""The library {{ cookiecutter.project_slug }}; see its README."""
