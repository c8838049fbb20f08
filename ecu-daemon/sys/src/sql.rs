//! Read-only SQL over what is no table: the safe side of SQLite's virtual tables.
//!
//! `rusqlite` wants two `unsafe impl`s from whoever offers one; they stand here, once, for any [`Table`].

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::fmt::Write;
use std::io;
use std::sync::Arc;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit as Bound;
use rusqlite::types::{FromSql, ToSql, ToSqlOutput};
pub use rusqlite::types::{Value, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor,
    sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Batch, Connection, Error};

/// What SQL is to read.
pub trait Table: Send + Sync {
    /// `CREATE TABLE x(…)` with the columns in their order; SQLite ignores the name.
    fn declaration(&self) -> &'static CStr;

    /// Begins to read. Rows beyond `limits` may be left out; SQLite checks those that come.
    ///
    /// # Errors
    /// A text for the user.
    fn scan(&self, limits: &[Limit]) -> Result<Box<dyn Rows>, String>;
}

/// Rows of a [`Table`], one after the other.
pub trait Rows {
    /// Goes to the next row, to the first one at first; false behind the last one.
    ///
    /// # Errors
    /// A text for the user; the statement ends with it.
    fn advance(&mut self) -> Result<bool, String>;

    /// The value in a column of the row.
    fn value(&self, column: usize) -> ValueRef<'_>;
}

/// What a row of the answer keeps to, whatever else the statement asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Index of the column.
    pub column: usize,
    /// How its value compares
    pub compare: Compare,
    /// with this one.
    pub value: Value,
}

/// The comparisons that limit a scan. Texts compare as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Who takes what statements answer.
pub trait Answer {
    /// A statement begins to answer, with these columns.
    ///
    /// # Errors
    /// Its own; no statement is run after it.
    fn columns(&mut self, names: &[&str]) -> io::Result<()>;

    /// A row of it.
    ///
    /// # Errors
    /// Its own; no statement is run after it.
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()>;
}

/// Why statements were not run to their end.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// SQLite does not take them.
    #[error("SQL: {0}")]
    Refused(#[source] rusqlite::Error),
    /// Reading failed.
    #[error("SQL: {0}")]
    Failed(#[source] rusqlite::Error),
    /// The answer was not taken.
    #[error("{0}")]
    Answer(#[source] io::Error),
}

/// Runs the statements in `text`, one after the other, over `tables`.
///
/// # Errors
/// [`SqlError`]; what came before it was answered.
pub fn run(
    tables: Vec<(&str, Arc<dyn Table>)>,
    text: &str,
    answer: &mut impl Answer,
) -> Result<(), SqlError> {
    let connection = connect(tables).map_err(SqlError::Refused)?;
    let mut batch = Batch::new(&connection, text);
    while let Some(mut statement) = batch.next().map_err(SqlError::Refused)? {
        let names: Vec<&str> = statement.column_names().collect();
        answer.columns(&names).map_err(SqlError::Answer)?;
        let columns = names.len();
        let mut rows = statement.query([]).map_err(SqlError::Failed)?;
        while let Some(row) = rows.next().map_err(SqlError::Failed)? {
            let values: Result<Vec<_>, _> = (0..columns).map(|column| row.get_ref(column)).collect();
            answer.row(&values.map_err(SqlError::Failed)?).map_err(SqlError::Answer)?;
        }
    }
    Ok(())
}

fn connect(tables: Vec<(&str, Arc<dyn Table>)>) -> rusqlite::Result<Connection> {
    const MODULE: Module<'_, Opened> = Module::eponymous_only_module();
    let connection = Connection::open_in_memory()?;
    // Statements read these tables, and nothing else of this machine: no `ATTACH`.
    connection.set_limit(Bound::SQLITE_LIMIT_ATTACHED, 0)?;
    for (name, table) in tables {
        connection.create_module(name, &MODULE, Some(table))?;
    }
    Ok(connection)
}

/// SQLite's handle of a table.
#[repr(C)]
struct Opened {
    /// What SQLite takes it for.
    base: sqlite3_vtab,
    table: Arc<dyn Table>,
}

// SAFETY: `VTab` asks for `repr(C)` with the base class as the first field, as above.
unsafe impl<'vtab> VTab<'vtab> for Opened {
    type Aux = Arc<dyn Table>;
    type Cursor = Cursor;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _module_name: &[u8],
        _database_name: &[u8],
        _table_name: &[u8],
        _args: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let table = aux.ok_or_else(|| Error::ModuleError("a module without a table".to_owned()))?;
        // Reading has no effects: views and triggers of a foreign file may use it.
        db.config(VTabConfig::Innocuous)?;
        let opened = Self { base: sqlite3_vtab::default(), table: Arc::clone(table) };
        Ok((Cow::Borrowed(table.declaration()), opened))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        // The plan is the text of the limits: column and comparison of each argument of `filter`.
        let (mut plan, mut limits) = (String::new(), 0);
        let usable: Vec<(usize, c_int, char)> = info
            .constraints()
            .enumerate()
            .filter(|(_, constraint)| constraint.is_usable())
            .filter_map(|(index, constraint)| {
                Some((index, constraint.column(), sign(constraint.operator())?))
            })
            .collect();
        for (index, column, sign) in usable {
            // Another collation would find more than bytes that are equal.
            if column < 0 || info.collation(index)? != "BINARY" {
                continue;
            }
            // Writing to a String cannot fail.
            let _ = write!(plan, "{column}{sign}");
            limits += 1;
            info.constraint_usage(index).set_argv_index(limits);
        }
        // Each limit is taken to halve the work, so that the scan with the most of them is the one that is done.
        info.set_estimated_cost(1e9 / 2_f64.powi(limits));
        info.set_idx_str(&plan);
        Ok(true)
    }

    fn open(&'vtab mut self) -> rusqlite::Result<Cursor> {
        let table = Arc::clone(&self.table);
        Ok(Cursor { base: sqlite3_vtab_cursor::default(), table, rows: None, row: 0, ended: true })
    }
}

const SIGNS: [(char, Compare); 5] = [
    ('=', Compare::Equal),
    ('<', Compare::Less),
    ('{', Compare::LessOrEqual),
    ('>', Compare::Greater),
    ('}', Compare::GreaterOrEqual),
];

/// The letter of a comparison in a plan; `None` for those that do not limit a scan.
fn sign(operator: IndexConstraintOp) -> Option<char> {
    Some(match operator {
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => '=',
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => '<',
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => '{',
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => '>',
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => '}',
        _ => return None,
    })
}

/// The columns and comparisons of a plan, in the order of the arguments.
fn read_plan(plan: &str) -> impl Iterator<Item = (usize, Compare)> + '_ {
    plan.split_inclusive(|letter: char| !letter.is_ascii_digit()).filter_map(|limit| {
        let sign = limit.chars().last()?;
        let compare = SIGNS.iter().find(|known| known.0 == sign)?.1;
        Some((limit.strip_suffix(sign)?.parse().ok()?, compare))
    })
}

/// SQLite's handle of a scan.
#[repr(C)]
struct Cursor {
    /// What SQLite takes it for.
    base: sqlite3_vtab_cursor,
    table: Arc<dyn Table>,
    rows: Option<Box<dyn Rows>>,
    row: i64,
    ended: bool,
}

// SAFETY: `VTabCursor` asks for `repr(C)` with the base class as the first field, as above.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, _: c_int, plan: Option<&str>, arguments: &Filters<'_>) -> rusqlite::Result<()> {
        let limits = read_plan(plan.unwrap_or_default()).zip(arguments.iter());
        let limits: rusqlite::Result<Vec<Limit>> = limits
            .map(|((column, compare), value)| {
                Ok(Limit { column, compare, value: Value::column_result(value)? })
            })
            .collect();
        self.rows = Some(self.table.scan(&limits?).map_err(Error::ModuleError)?);
        self.row = 0;
        self.next()
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.row += 1;
        let Some(rows) = &mut self.rows else { return Ok(()) };
        self.ended = !rows.advance().map_err(Error::ModuleError)?;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.ended
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        let value = match (&self.rows, usize::try_from(column)) {
            (Some(rows), Ok(column)) => rows.value(column),
            _ => ValueRef::Null,
        };
        context.set_result(Borrowed(value))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.row)
    }
}

/// A value as `rusqlite` takes results.
struct Borrowed<'a>(ValueRef<'a>);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Numbers from 0 with their names; remembers what it was limited to.
    struct Numbers {
        count: i64,
        seen: Mutex<Vec<Limit>>,
    }

    struct NumberRows {
        at: i64,
        count: i64,
        name: String,
    }

    impl Table for Numbers {
        fn declaration(&self) -> &'static CStr {
            c"CREATE TABLE x(number INTEGER, name TEXT)"
        }

        fn scan(&self, limits: &[Limit]) -> Result<Box<dyn Rows>, String> {
            *self.seen.lock().unwrap() = limits.to_vec();
            Ok(Box::new(NumberRows { at: -1, count: self.count, name: String::new() }))
        }
    }

    impl Rows for NumberRows {
        fn advance(&mut self) -> Result<bool, String> {
            self.at += 1;
            self.name = format!("n{}", self.at);
            if self.at == 1000 {
                Err("the thousandth number is missing".to_owned())
            } else {
                Ok(self.at < self.count)
            }
        }

        fn value(&self, column: usize) -> ValueRef<'_> {
            if column == 0 { ValueRef::Integer(self.at) } else { ValueRef::Text(self.name.as_bytes()) }
        }
    }

    /// Collects an answer as text.
    #[derive(Default)]
    struct Text(String);

    impl Answer for Text {
        fn columns(&mut self, names: &[&str]) -> io::Result<()> {
            self.0.push_str(&names.join(","));
            Ok(())
        }

        fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
            self.0.push('\n');
            let text = |value: &ValueRef<'_>| match value {
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            let texts: Vec<String> = values.iter().map(text).collect();
            self.0.push_str(&texts.join(","));
            Ok(())
        }
    }

    fn ask(count: i64, sql: &str) -> (Result<String, String>, Vec<Limit>) {
        let numbers = Arc::new(Numbers { count, seen: Mutex::default() });
        let table: Arc<dyn Table> = Arc::<Numbers>::clone(&numbers);
        let mut text = Text::default();
        let result = run(vec![("numbers", table)], sql, &mut text);
        let seen = numbers.seen.lock().unwrap().clone();
        (result.map(|()| text.0).map_err(|error| error.to_string()), seen)
    }

    #[test]
    fn sql_reads_a_table_and_its_limits_reach_it() {
        let check = |sql: &str, expected: &str, limits: &[(usize, Compare)]| {
            let (text, seen) = ask(10, sql);
            assert_eq!(text.as_deref(), Ok(expected), "{sql}");
            let seen: Vec<_> = seen.iter().map(|limit| (limit.column, limit.compare)).collect();
            assert_eq!(seen, limits, "{sql}");
        };
        check("SELECT count(*) AS n, max(name) AS m FROM numbers", "n,m\n10,n9", &[]);
        check(
            "SELECT * FROM numbers WHERE number >= 3 AND number < 5",
            "number,name\n3,n3\n4,n4",
            &[(0, Compare::GreaterOrEqual), (0, Compare::Less)],
        );
        check("SELECT number FROM numbers WHERE name = 'n7'", "number\n7", &[(1, Compare::Equal)]);
        check("SELECT name FROM numbers WHERE name = 'N7' COLLATE NOCASE", "name\nn7", &[]);
        check("SELECT name FROM numbers WHERE name LIKE 'n8%'", "name\nn8", &[]);
        // Once for each row of the other one.
        check(
            "SELECT count(*) AS n FROM numbers a JOIN numbers b ON b.number = a.number + 1",
            "n\n9",
            &[(0, Compare::Equal)],
        );
        check("SELECT 1 AS one; SELECT 2 AS two;", "one\n1two\n2", &[]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |sql: &str, expected: &str| {
            let error = ask(2000, sql).0.unwrap_err();
            assert!(error.contains(expected), "{sql}: {error}");
        };
        check("SELECT count(*) FROM numbers", "the thousandth number is missing");
        check("SELECT * FROM letters", "no such table: letters");
        check("DELETE FROM numbers", "may not be modified");
        check("ATTACH '/tmp/other.db' AS other", "too many attached databases");
    }
}
