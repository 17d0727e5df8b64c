//! Batches as columns: one array a column, for `unnest`.

use diesel::pg::Pg;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, HasSqlType};

use super::sql::{Binds, Bound};

/// One column of a batch.
pub(crate) fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The array of one column, of values `V` sent as `T`.
type Sent<T, V> = Bound<Array<T>, Vec<V>>;

/// A batch of rows whose columns are each named once, with the SQL type and the value that a row is sent with. Names,
/// expressions, placeholders and arrays of a statement are all made of this list, so that they can't get out of step.
pub(crate) struct Batch<'r, R, B> {
    rows: &'r [R],
    /// Columns that are sent, in the order of their arrays.
    sent: List,
    placeholders: List,
    /// Columns of the table, and what each is set to.
    names: List,
    expressions: List,
    binds: B,
}

impl<'r, R> Batch<'r, R, ()> {
    /// No columns of `rows` yet.
    pub(crate) fn of(rows: &'r [R]) -> Self {
        let empty = List::default;
        Self { rows, sent: empty(), placeholders: empty(), names: empty(), expressions: empty(), binds: () }
    }
}

impl<'r, R, B: Binds> Batch<'r, R, B> {
    /// Adds a column: `value` of each row, sent as `T`.
    pub(crate) fn column<T, V>(self, name: &str, value: impl Fn(&'r R) -> V) -> Batch<'r, R, (B, Sent<T, V>)>
    where
        Pg: HasSqlType<T>,
        Vec<V>: ToSql<Array<T>, Pg>,
    {
        self.column_as::<T, V>(name, name, value)
    }

    /// Adds a column that is set to `expression`, in which `name` is what is sent.
    pub(crate) fn column_as<T, V>(
        mut self,
        name: &str,
        expression: &str,
        value: impl Fn(&'r R) -> V,
    ) -> Batch<'r, R, (B, Sent<T, V>)>
    where
        Pg: HasSqlType<T>,
        Vec<V>: ToSql<Array<T>, Pg>,
    {
        self.sent.push(name);
        self.placeholders.push("?");
        self.names.push(name);
        self.expressions.push(expression);
        let Self { rows, sent, placeholders, names, expressions, binds } = self;
        let binds = (binds, Bound::new(column(rows, value)));
        Batch { rows, sent, placeholders, names, expressions, binds }
    }

    /// Adds a column that is set to `expression`, made of those that are sent.
    pub(crate) fn computed(mut self, name: &str, expression: &str) -> Self {
        self.names.push(name);
        self.expressions.push(expression);
        self
    }

    /// `unnest(?, …) AS alias (column, …)`.
    pub(crate) fn unnest(&self, alias: &str) -> String {
        format!("unnest({}) AS {alias} ({})", self.placeholders.0, self.sent.0)
    }

    /// `INSERT INTO table (column, …) SELECT expression, … FROM unnest(?, …) AS sent (column, …)`, to be followed by `WHERE`,
    /// `ON CONFLICT`, `RETURNING` or nothing.
    pub(crate) fn insert_into(&self, table: &str) -> String {
        let (names, expressions, unnest) = (&self.names.0, &self.expressions.0, self.unnest("sent"));
        format!("INSERT INTO {table} ({names}) SELECT {expressions} FROM {unnest}")
    }

    /// The arrays, in the order of their placeholders.
    pub(crate) fn into_binds(self) -> B {
        self.binds
    }
}

/// Text with `, ` between its parts.
#[derive(Default)]
struct List(String);

impl List {
    fn push(&mut self, part: &str) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::{Bool, Integer, Text};

    use super::*;
    use crate::postgres::sql::sql;

    #[test]
    fn names_expressions_and_placeholders_are_of_one_list() {
        let rows = [(1, "a"), (2, "b")];
        let batch = Batch::of(&rows)
            .column::<Integer, _>("id", |row| row.0)
            .column_as::<Text, _>("names", "string_to_array(names, ',')", |row| row.1)
            .computed("is_first", "id = 1");
        let insert = batch.insert_into("t");
        assert_eq!(
            insert,
            "INSERT INTO t (id, names, is_first) SELECT id, string_to_array(names, ','), id = 1 \
             FROM unnest(?, ?) AS sent (id, names)"
        );
        let statement =
            sql::<()>(format!("{insert} WHERE ?")).binds(batch.into_binds()).bind::<Bool, _>(true);
        let text = diesel::debug_query::<Pg, _>(&statement).to_string();
        assert!(text.contains("unnest($1, $2) AS sent (id, names) WHERE $3"), "{text}");
        assert!(text.contains(r#"[[1, 2], ["a", "b"], true]"#), "{text}");
    }
}
