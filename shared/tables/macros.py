"""The SQL macros that the `.sql` files use."""

from __future__ import annotations

from shared.tables import guids

MACROS = rf"""{guids.MACROS}
CREATE OR REPLACE MACRO bare(t) AS nullif(trim(t, E' \t\r\n\f'), '');
"""
"""`bare`: a text without the spaces around it, null where nothing is left. The others: see guids."""
