"""An evaluator of identity-based IAM policies: what a policy really allows; it is judged by its effect.

The rules, in AWS's order: everything is denied; a statement that allows makes an exception; a statement that denies
beats every exception. Actions ignore case, resources and values do not; ``*`` and ``?`` are the only wildcards.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from course_lib.cloud.errors import PolicyError

__all__ = ["Decision", "evaluate", "read_policy", "trusts"]

_VERSIONS = ("2012-10-17", "2008-10-17")


@dataclass(frozen=True)
class Decision:
    """Whether a request is allowed, and which statement decided."""

    allowed: bool
    why: str

    def __bool__(self) -> bool:
        return self.allowed


def evaluate(
    policies: Any, action: str, resource: str, context: Mapping[str, str | Sequence[str]] | None = None
) -> Decision:
    """Decide one request of an identity that has ``policies``.

    Parameters
    ----------
    policies
        A policy document (mapping or JSON text), or a list of them: an identity has what all of them give together.
    action
        Such as ``"s3:GetObject"``.
    resource
        ARN that it is done to.
    context
        Condition keys of the request, such as ``{"s3:prefix": "models/"}``.

    Raises
    ------
    PolicyError
        A document cannot be read, or uses a condition operator that is not known here.

    Examples
    --------
    >>> allow = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::desk/*"}
    >>> bool(evaluate({"Version": "2012-10-17", "Statement": [allow]}, "s3:GetObject", "arn:aws:s3:::desk/a"))
    True
    >>> evaluate({"Version": "2012-10-17", "Statement": [allow]}, "s3:PutObject", "arn:aws:s3:::desk/a").why
    'no statement allows s3:PutObject on arn:aws:s3:::desk/a'
    """
    documents = policies if isinstance(policies, list | tuple) else [policies]
    statements = [one for document in documents for one in read_policy(document)]
    request = (action, resource, dict(context or {}))
    matching = [one for one in statements if _matches(one, *request)]
    for effect, allowed in (("Deny", False), ("Allow", True)):
        for one in matching:
            if one["Effect"] == effect:
                return Decision(allowed, f"{_name(one)} {'allows' if allowed else 'denies'} {action} on {resource}")
    return Decision(False, f"no statement allows {action} on {resource}")


def read_policy(document: Any) -> list[dict[str, Any]]:
    """Return the statements of an identity-based policy.

    Raises
    ------
    PolicyError
        It is no policy; the message says where.
    """
    statements = _statements(document)
    for statement in statements:
        where = f"statement {_name(statement)}"
        _require_one_of(statement, ("Action", "NotAction"), where)
        _require_one_of(statement, ("Resource", "NotResource"), where)
        if "Principal" in statement or "NotPrincipal" in statement:
            raise _wrong(f"{where} names a principal", "none: the policy is attached to whom it is for")
        for key in ("Action", "NotAction", "Resource", "NotResource"):
            for value in _listed(statement.get(key, [])):
                _require_pattern(key, value, where)
    return statements


def trusts(document: Any, service: str) -> bool:
    """Return whether a role's trust policy lets an AWS service assume it, such as ``"sagemaker.amazonaws.com"``."""
    matching = [
        one
        for one in _statements(document)
        if isinstance(one.get("Principal"), Mapping)
        and service in _listed(one["Principal"].get("Service", []))
        and any(_like(pattern.lower(), "sts:assumerole") for pattern in _listed(one.get("Action", [])))
    ]
    return bool(matching) and all(one["Effect"] == "Allow" for one in matching)


def _statements(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError as error:
            raise _wrong(f"The policy is no JSON ({error})", "a JSON document") from error
    if not isinstance(document, Mapping) or "Statement" not in document:
        raise _wrong("The policy has no statements", 'a document such as {"Version": "2012-10-17", "Statement": […]}')
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise _wrong(f"The policy's version is {document['Version']!r}", f'"Version": "{_VERSIONS[0]}"')
    statements = _listed(document["Statement"])
    for one in statements:
        if not isinstance(one, Mapping) or one.get("Effect") not in {"Allow", "Deny"}:
            raise _wrong(f"A statement has no effect: {one!r}", '"Effect": "Allow" or "Deny"')
    return [dict(one) for one in statements]


def _matches(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, Any]) -> bool:
    return (
        _concerns(statement, "Action", lambda pattern: _like(pattern.lower(), action.lower()))
        and _concerns(statement, "Resource", lambda pattern: _is_resource(pattern, resource))
        and all(_holds(operator, keys, context) for operator, keys in statement.get("Condition", {}).items())
    )


def _concerns(statement: Mapping[str, Any], key: str, matches: Callable[[str], bool]) -> bool:
    if key in statement:
        return any(matches(pattern) for pattern in _listed(statement[key]))
    return not any(matches(pattern) for pattern in _listed(statement[f"Not{key}"]))


def _is_resource(pattern: str, resource: str) -> bool:
    """Match ARN by ARN segment: a wildcard stays within its segment, unless it is the pattern's last character."""
    if pattern == "*":
        return True
    wanted, found = pattern.split(":", 5), resource.split(":", 5)
    if len(wanted) < len(found) and pattern.endswith("*"):
        keep = len(wanted) - 1
        found = [*found[:keep], ":".join(found[keep:])]
    return len(wanted) == len(found) and all(_like(one, other) for one, other in zip(wanted, found, strict=True))


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(one) or re.escape(one) for one in pattern), re.S)


# conditions --------------------------------------------------------------------------------------------------------
_POSITIVE: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": _like,
    "ArnEquals": _is_resource,  # AWS treats both alike
    "ArnLike": _is_resource,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
}
_NEGATIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def _holds(operator: str, keys: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    return all(_key_holds(operator, wanted, _found(context, key)) for key, wanted in keys.items())


def _key_holds(operator: str, wanted: Any, found: list[str] | None) -> bool:
    """Apply one operator: several wanted values are joined by "or"; a missing key fails unless the operator negates."""
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in _listed(wanted)]
    if operator == "Null":
        return (found is None) == (values == ["true"])
    base = operator.removesuffix("IfExists")
    if found is None and base != operator:
        return True
    negated = base in _NEGATIVE
    test = _POSITIVE.get(_NEGATIVE.get(base, base))
    if test is None:
        known = ", ".join([*_POSITIVE, *_NEGATIVE, "Null"])
        raise _wrong(f"The condition operator {operator} is not known here", f"one of {known}")
    if found is None:
        return negated
    return any(test(value, one) for value in values for one in found) != negated


def _found(context: Mapping[str, Any], key: str) -> list[str] | None:
    for name, value in context.items():
        if name.lower() == key.lower():
            return [str(one) for one in _listed(value)]
    return None


# reading -----------------------------------------------------------------------------------------------------------
def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _name(statement: Mapping[str, Any]) -> str:
    return repr(statement["Sid"]) if statement.get("Sid") else f"the {statement['Effect']} statement"


def _require_one_of(statement: Mapping[str, Any], keys: tuple[str, str], where: str) -> None:
    if (keys[0] in statement) == (keys[1] in statement):
        raise _wrong(f"{where} has {'both' if keys[0] in statement else 'none'} of {' and '.join(keys)}", "one of them")


def _require_pattern(key: str, value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise _wrong(f"{key} in {where} is {value!r}", "text, or a list of texts")
    if key.endswith("Action") and value != "*" and ":" not in value:
        raise _wrong(f"the action {value!r} in {where} names no service", "service:Action, such as s3:GetObject")
    if key.endswith("Resource") and value != "*" and not value.startswith("arn:"):
        raise _wrong(f"the resource {value!r} in {where} is no ARN", "an ARN such as arn:aws:s3:::bucket/key, or *")


def _wrong(happened: str, expected: str) -> PolicyError:
    return PolicyError(f"{happened[0].upper()}{happened[1:]}.", expected=expected, next_step="correct the policy")
