"""The packages; everything else about the distribution is in pyproject.toml."""

from setuptools import find_packages, setup

# The import root kfp_finetune is the folder api/; the other top-level folders are packages in it.
setup(
    packages=[
        "kfp_finetune",
        *(
            f"kfp_finetune.{name}"
            for name in (
                *find_packages("api"),
                *find_packages(include=["cli*", "components*", "pipelines*"]),
            )
        ),
    ]
)
