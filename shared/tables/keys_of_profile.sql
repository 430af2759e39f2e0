-- The alternate keys that stand in the profile's own key columns, {{DataSource}}_{{Table}}_{{PrimaryKeyColumn}}:
-- one row for each key. A cell may hold several keys, separated by ";".
SELECT
    key_column.data_source              AS data_source,
    key_column.entity                   AS entity,
    trim(piece)                         AS value,
    cell.customer_id                    AS customer_id,
    NULL::VARCHAR                       AS preferred
FROM (
    SELECT customer_id, column_name, unnest(string_split(keys, ';')) AS piece
    FROM (SELECT "{customer_id}" AS customer_id, {key_columns} FROM customer)
    UNPIVOT (keys FOR column_name IN ({key_columns}))
) AS cell
JOIN key_column ON key_column.column_name = cell.column_name
WHERE trim(piece) <> ''
