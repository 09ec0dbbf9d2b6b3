# SPDX-License-Identifier: MIT
"""AWS::Lambda::Url for moto's CloudFormation, which has none: another resource may ask for the URL.

The class makes itself known to moto by its base.
"""

from __future__ import annotations

from typing import Any

from moto.core.common_models import CloudFormationModel


class FunctionUrl(CloudFormationModel):
    """The URL of a function, which leads nowhere."""

    def __init__(self, name: str, region: str):
        self.physical_resource_id = name
        self.url = f"https://{name.lower()}.lambda-url.{region}.on.aws/"

    @staticmethod
    def cloudformation_name_type() -> str:
        """Give the property that names the resource: a function URL has none."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Give the type that templates use."""
        return "AWS::Lambda::Url"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether templates may ask for it."""
        return attr == "FunctionUrl"

    def get_cfn_attribute(self, _: str) -> str:
        """Give the one that there is."""
        return self.url

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> FunctionUrl:
        """Make one."""
        return cls(resource_name, region_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: FunctionUrl,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> FunctionUrl:
        """Keep it: nothing of it can change."""
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> None:
        """Let it go: nothing else knows of it."""

    def is_created(self) -> bool:
        """Tell that creation takes no time."""
        return True
