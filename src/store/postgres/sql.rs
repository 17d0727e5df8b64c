//! SQL as text whose prepared statement is cached by the connection. `diesel::sql_query` and `dsl::sql` are
//! planned anew at each call; that planning costs a small batch more than its rows do.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::str::Split;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;
use diesel::{PgConnection, QueryResult, RunQueryDsl};

/// A statement whose rows have the SQL types `ST` (`()` for none); each `?` of `text` is the next bound value.
pub(crate) fn sql<ST>(text: impl Into<Cow<'static, str>>) -> Sql<ST, ()> {
    Sql { text: text.into(), binds: (), row: PhantomData }
}

/// Made by [`sql`].
pub(crate) struct Sql<ST, B> {
    text: Cow<'static, str>,
    binds: B,
    row: PhantomData<ST>,
}

/// A value and the SQL type it is sent as.
pub(crate) struct Bound<T, V>(V, PhantomData<T>);

impl<T, V> Bound<T, V> {
    /// `value`, sent as `T`.
    pub(super) fn new(value: V) -> Self {
        Self(value, PhantomData)
    }
}

impl<ST, B> Sql<ST, B> {
    /// Binds the next `?` to `value`, sent as `T`.
    pub(crate) fn bind<T, V: ToSql<T, Pg>>(self, value: V) -> Sql<ST, (B, Bound<T, V>)> {
        Sql { text: self.text, binds: (self.binds, Bound::new(value)), row: PhantomData }
    }

    /// Binds the next ones to the values of `more`, in its order.
    pub(crate) fn binds<M: Binds>(self, more: M) -> Sql<ST, (B, M)> {
        Sql { text: self.text, binds: (self.binds, more), row: PhantomData }
    }
}

/// Writes bound values, each with the text behind it.
pub(crate) trait Binds {
    /// Takes its share of `pieces`, the text between the question marks.
    fn walk<'b>(&'b self, pieces: &mut Split<'_, char>, out: AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

impl Binds for () {
    fn walk<'b>(&'b self, _: &mut Split<'_, char>, _: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Ok(())
    }
}

impl<B: Binds, M: Binds> Binds for (B, M) {
    fn walk<'b>(&'b self, pieces: &mut Split<'_, char>, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk(pieces, out.reborrow())?;
        self.1.walk(pieces, out)
    }
}

impl<T, V: ToSql<T, Pg>> Binds for Bound<T, V>
where
    Pg: HasSqlType<T>,
{
    fn walk<'b>(&'b self, pieces: &mut Split<'_, char>, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<T, V>(&self.0)?;
        out.push_sql(pieces.next().unwrap_or_default());
        Ok(())
    }
}

impl<ST, B: Binds> QueryFragment<Pg> for Sql<ST, B> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        self.binds.walk(&mut pieces, out)
    }
}

impl<ST, B> QueryId for Sql<ST, B> {
    // Not one type per statement: the cache goes by the text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST, B> Query for Sql<ST, B> {
    type SqlType = ST;
}

impl<ST, B> RunQueryDsl<PgConnection> for Sql<ST, B> {}
