-- The keys that stand in ContactProfile's own key columns, {{DataSource}}_{{Table}}_{{PrimaryKeyColumn}}: one row for
-- each key. A cell may hold several keys, separated by ";".
SELECT
    contact_column.data_source  AS data_source,
    contact_column.entity       AS entity,
    trim(piece)                 AS value,
    cell.customer_id            AS customer_id
FROM (
    SELECT customer_id, column_name, unnest(string_split(keys, ';')) AS piece
    FROM (SELECT customer_id, {key_columns} FROM contact WHERE customer_id IS NOT NULL)
    UNPIVOT (keys FOR column_name IN ({key_columns}))
) AS cell
JOIN contact_column ON contact_column.column_name = cell.column_name
WHERE trim(piece) <> ''
