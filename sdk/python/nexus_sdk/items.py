# SPDX-License-Identifier: Apache-2.0
"""Operations of DynamoDB as boto3's resources have them: attributes are Python's values, and conditions may be objects.

What converts them is boto3's own.
"""

import sys

from nexus_sdk.channel import HandOver
from nexus_sdk.shapes import DocumentOperation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EXPRESSIONS = ("ConditionExpression", "KeyExpression")


class ItemOperation(DocumentOperation):
    """An operation of DynamoDB in a region."""

    __slots__ = ("_of_input",)

    def __init__(self, service: "dict[str, Any]", region: str, table: "dict[str, Any]") -> None:
        super().__init__(service, region, table)
        plain = self._shapes
        self._of_input: dict[str, tuple[str, str]] = plain[self._input][2] if self._input else {}
        if "AttributeValue" in plain:
            from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

            converted = ("converted", None, TypeSerializer().serialize, TypeDeserializer().deserialize, plain)
            self._shapes = {**plain, "AttributeValue": converted}

    def run(self, arguments: "dict[str, Any]", client: "Any" = None) -> "dict[str, Any] | None":
        """Makes the call and returns its result, or None if it is handed over."""
        conditions = sys.modules.get("boto3.dynamodb.conditions")
        if conditions is not None:
            try:
                arguments = self._built(arguments, conditions)
            except Exception:
                # boto3 says what is wrong with a condition.
                return None
        return super().run(arguments, client)

    def _built(self, arguments: "dict[str, Any]", conditions: "Any") -> "dict[str, Any]":
        """The arguments with conditions as text, and what stands for names and values in it."""
        found = {name: value for name, value in arguments.items() if isinstance(value, conditions.ConditionBase)}
        if not found:
            return arguments
        built = dict(arguments)
        builder = conditions.ConditionExpressionBuilder()
        names: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for shape in _EXPRESSIONS:
            for name, value in found.items():
                if self._of_input[name][0] == shape:
                    expression = builder.build_expression(value, is_key_condition=shape == "KeyExpression")
                    names.update(expression.attribute_name_placeholders)
                    values.update(expression.attribute_value_placeholders)
                    built[name] = expression.condition_expression
        for name, generated in (("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)):
            if type(built.get(name, {})) is not dict:
                raise HandOver
            if generated:
                built[name] = {**built.get(name, {}), **generated}
        return built
