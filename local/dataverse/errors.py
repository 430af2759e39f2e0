"""Errors as Dataverse reports them: an HTTP status, a hexadecimal code and a message.

Codes and texts are those of Microsoft's "Web service error codes" where a comment says nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

PAYLOAD = "0x80048d19"
INVALID_ARGUMENT = "0x80040203"
DOES_NOT_EXIST = "0x80040217"
DUPLICATE_NAME = "0x80044363"
PRIVILEGE_DENIED = "0x80040220"
HELP_LINK = "https://go.microsoft.com/fwlink/?linkid=2195293"


class DataverseError(Exception):
    """A refusal in Dataverse's form. `status` is the HTTP status, `code` the hexadecimal error code."""

    def __init__(self, status: int, code: str, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = tuple(headers)

    def body(self) -> bytes:
        """Return the JSON body of the answer."""
        return json.dumps({"error": {"code": self.code, "message": self.message}}, ensure_ascii=False).encode()


def not_supported(what: str) -> DataverseError:
    """Return the answer to what the real service offers and this one does not. The code is ours."""
    return DataverseError(501, "0x0", f"{what} is not supported by this local Dataverse.")


def bad_payload(set_name: str, reason: str) -> DataverseError:
    """Return the answer to a body that does not fit the table."""
    text = (
        f"Error identified in Payload provided by the user for Entity :'{set_name}', For more information on this "
        f"error please follow this help link {HELP_LINK}  ---->  InnerException : {reason}"
    )
    return DataverseError(400, PAYLOAD, text)


def undeclared_property(set_name: str, table: str, name: str) -> DataverseError:
    """Return the answer to a property that the table does not have."""
    reason = (
        f"Microsoft.Crm.CrmException: Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table}'. "
        "---> Microsoft.OData.ODataException: Does not support untyped value in non-open type."
    )
    return bad_payload(set_name, reason)


def undeclared_navigation(set_name: str, name: str) -> DataverseError:
    """Return the answer to an `@odata.bind` on a navigation property that the table does not have."""
    reason = (
        f"Microsoft.OData.ODataException: An undeclared property '{name}' which only has property annotations in the "
        "payload but no property value was found in the payload. In OData, only declared navigation properties and "
        "declared named streams can be represented as properties without values."
    )
    return bad_payload(set_name, reason)


def direct_lookup(name: str) -> DataverseError:
    """Return the answer to `_x_value` (or a lookup's own name) in a body."""
    text = (
        "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead. "
        f"(property '{name}')"
    )
    return DataverseError(400, "0x80060888", text)


def wrong_type(set_name: str, value: object, expected: str) -> DataverseError:
    """Return the answer to a JSON value of another type than the column's."""
    reason = f"Microsoft.OData.ODataException: Cannot convert the literal '{value}' to the expected type '{expected}'."
    return bad_payload(set_name, reason)


def too_long(table: str, column: str, limit: int) -> DataverseError:
    """Return the answer to a text longer than the column."""
    text = (
        f"A validation error occurred. The length of the '{column}' attribute of the '{table}' entity exceeded the "
        f"maximum allowed length of '{limit}'."
    )
    return DataverseError(400, "0x80044331", text)


def out_of_range(code: str, table: str, column: str, value: object, accepted: str) -> DataverseError:
    """Return the answer to a number or choice outside the column's range."""
    text = (
        f"A validation error occurred. The value {value} of '{column}' on record of type '{table}' is outside the "
        f"valid range. Accepted Values: {accepted}"
    )
    return DataverseError(400, code, text)


def does_not_exist(table: str, row_id: str) -> DataverseError:
    """Return the answer to a single row, or a lookup's target, that is not there."""
    return DataverseError(404, DOES_NOT_EXIST, f"{table} With Id = {row_id} Does Not Exist")


def do_not_exist(display_name: str, row_ids: Iterable[str]) -> DataverseError:
    """Return the answer to an UpdateMultiple with rows that are not there.

    Documented: the text and the code. Not established for bulk: the status, taken from the single form.
    """
    return DataverseError(404, DOES_NOT_EXIST, f"{display_name} With Ids = {', '.join(row_ids)} Do Not Exist")


def key_not_found(table: str) -> DataverseError:
    """Return the answer to an alternate key that no row has."""
    return DataverseError(404, "0x80060891", f"A record with the specified key values does not exist in {table} entity")


def key_violated(key: str) -> DataverseError:
    """Return the answer to a second row with the same alternate key."""
    text = f"Entity Key {key} violated. A record with the same value for {key} already exists."
    return DataverseError(412, "0x80060892", text)


def duplicate_key() -> DataverseError:
    """Return the answer to a second row with the same primary key."""
    return DataverseError(412, "0x80040237", "Cannot insert duplicate key.")


def key_in_body(name: str) -> DataverseError:
    """Return the answer to a key column both in `@odata.id` and in the body of a row to be created."""
    text = f"An unexpected error occurred: the key attribute '{name}' is in the key and in the body of the record."
    return DataverseError(400, "0x80040216", text)


def still_referenced() -> DataverseError:
    """Return the answer to a delete that a relationship with Restrict forbids (documented: HTTP 405)."""
    text = "The object you tried to delete is associated with another object and cannot be deleted."
    return DataverseError(405, "0x80040227", text)


def unknown_segment(name: str) -> DataverseError:
    """Return the answer to a path that names nothing."""
    return DataverseError(404, "0x8006088a", f"Resource not found for the segment '{name}'.")


def unknown_property(name: str, table: str) -> DataverseError:
    """Return the answer to a query that names a column the table does not have."""
    text = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'."
    return DataverseError(400, "0x80060888", text)


def bad_query(reason: str) -> DataverseError:
    """Return the answer to a query option or path that cannot be read."""
    return DataverseError(400, "0x80060888", reason)


def invalid_argument(reason: str) -> DataverseError:
    """Return the answer to an argument outside what is documented."""
    return DataverseError(400, INVALID_ARGUMENT, reason)


def already_there(what: str, name: str) -> DataverseError:
    """Return the answer to a second table, column, key or relationship of one name."""
    text = f"{what} with schema name {name} already exists: an object with the specified name is not unique."
    return DataverseError(400, DUPLICATE_NAME, text)


@dataclass(frozen=True, slots=True)
class Principal:
    """The calling user as refusals show it."""

    user_id: str
    aad_id: str
    business_unit_id: str
    held: int
    known: int


def missing_privilege(
    user: Principal, name: str, identity: str, on: tuple[int, str, str] | None = None
) -> DataverseError:
    """Return the answer to what the user has no privilege for; `on`: type code, logical and display name of a table.

    The text is the one that users of the service report.
    """
    where = f" on OTC={on[0]} for entity '{on[1]}' (LocalizedName='{on[2]}')" if on else ""
    text = (
        f"Principal user (Id={user.user_id}, type=8, roleCount=1, privilegeCount={user.held}, "
        f"accessMode='4 Non-interactive', AADObjectId='{user.aad_id}', MetadataCachePrivilegesCount={user.known}, "
        f"businessUnitId={user.business_unit_id}), is missing {name} privilege (Id={identity}){where}. "
        f"context.Caller={user.user_id}. Consider adding missed privilege to one of the principal (user/team) roles."
    )
    return DataverseError(403, PRIVILEGE_DENIED, text)


def access_denied(user_id: str, kind: str, table: str, row_id: str) -> DataverseError:
    """Return the answer where the depth of a privilege does not reach a row. Its code is not established."""
    text = (
        f"Principal with id {user_id} does not have {kind}Access right(s) for record with id {row_id} of entity "
        f"{table}."
    )
    return DataverseError(403, PRIVILEGE_DENIED, text)


def required(table: str, column: str) -> DataverseError:
    """Return the answer to a row without one of its required columns."""
    return DataverseError(400, "0x80040200", f"Required field missing: '{column}' of '{table}'.")


def message_not_served(message: str, table: str) -> DataverseError:
    """Return the answer to an operation that a table does not have, as public clients report it."""
    text = f"The '{message}' method does not support entities of type '{table}'."
    return DataverseError(400, "0x80040800", text)


def not_customizable(component: str, identity: str, operation: str) -> DataverseError:
    """Return the answer to a change that the managed properties of a component do not allow."""
    condition = "iscustomizable" if component == "Entity" else "isparentcustomizable"
    text = (
        f"The evaluation of the current component(name={component}, id={identity}) in the current operation "
        f"({operation}) failed during managed property evaluation of condition: Managed Property Name: {condition}; "
        f"Component Name: {component};"
    )
    return DataverseError(400, "0x8004f026", text)


def version_mismatch() -> DataverseError:
    """Return the answer to an outdated `If-Match`."""
    text = "The version of the existing record doesn't match the RowVersion property provided."
    return DataverseError(412, "0x80060882", text)


def already_exists() -> DataverseError:
    """Return the answer to `If-None-Match: *` on a row that is there."""
    return DataverseError(412, "0x80040237", "A record with matching key values already exists.")


def method_not_allowed(method: str) -> DataverseError:
    """Return the answer to a method that the resource does not have."""
    return DataverseError(405, "0x80060888", f"The requested resource does not support http method '{method}'.")
