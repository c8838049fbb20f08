//! Reading a body of spans.

use std::sync::Arc;

use can_decode::CanId;
use can_decode::uds::{Nrc, Service};

use super::super::schema::read_id;
use super::super::wire::{Reader, unzigzag};
use super::super::{BlockError, ClockSource, SlotMillis, column, limits};
use super::record::{
    AttributeValue, BusSpan, BusSpanKind, LocalSpan, SampleMark, SignalValues, SpanFailure, SpanKind,
    SpanLink, SpanLinks, SpanOrigin, SpanRecord, SpanStatus,
};

/// Reads a span body.
///
/// # Errors
/// [`BlockError`] when it is cut off, exceeds the limits or has left-overs.
pub fn read_spans(body: &[u8]) -> Result<Vec<SpanRecord>, BlockError> {
    let mut reader = Reader::new(body);
    let count = reader.count("spans", limits::SPANS_MAX)?;
    let tables = Tables::read(&mut reader, count)?;
    let rare = reader.byte()?;
    if rare >= 1 << 4 {
        return Err(impossible("rare columns", rare.into()));
    }
    // A column that is left out is all 0.
    let is_there = |bit: u8| rare >> bit & 1 == 1;
    let heads = Heads::read(&mut reader, count, is_there)?;
    let statuses = if is_there(2) {
        read_statuses(&mut reader, count, &tables)?
    } else {
        vec![SpanStatus::Unset; count]
    };
    let links = if is_there(3) {
        read_links(&mut reader, count, &tables)?
    } else {
        vec![SpanLinks::default(); count]
    };
    let origins = read_origins(&mut reader, &heads.origins, &tables)?;
    reader.end()?;
    let rest = statuses.into_iter().zip(links).zip(origins);
    rest.enumerate()
        .map(|(row, ((status, links), origin))| {
            Ok(SpanRecord {
                trace_id: tables.trace(heads.traces[row])?,
                span_id: tables.optional_id(heads.own[row])?,
                parent_span_id: tables.optional_id(heads.parents[row])?,
                flags: small("span flags", heads.flags[row])?,
                start_ns: heads.starts[row] as i64,
                duration_ns: heads.durations[row],
                clock: ClockSource::from_column(heads.clocks[row])?,
                origin,
                status,
                links,
            })
        })
        .collect()
}

const fn impossible(field: &'static str, value: u64) -> BlockError {
    BlockError::Field { field, value }
}

fn small<T: TryFrom<u64>>(field: &'static str, value: u64) -> Result<T, BlockError> {
    T::try_from(value).map_err(|_| impossible(field, value))
}

fn entry<T: Clone>(field: &'static str, table: &[T], place: u64) -> Result<T, BlockError> {
    let found = usize::try_from(place).ok().and_then(|place| table.get(place));
    found.cloned().ok_or_else(|| impossible(field, place))
}

/// Sum of a column of counts, each at most `each`, all together at most [`limits::SPAN_DETAILS_MAX`].
fn total(field: &'static str, counts: &[u64], each: usize) -> Result<usize, BlockError> {
    if let Some(&value) = counts.iter().find(|count| **count > each as u64) {
        return Err(BlockError::Limit { field, value, max: each as u64 });
    }
    let sum: u64 = counts.iter().sum();
    if sum > limits::SPAN_DETAILS_MAX as u64 {
        return Err(BlockError::Limit { field, value: sum, max: limits::SPAN_DETAILS_MAX as u64 });
    }
    Ok(sum as usize)
}

struct Place {
    kind: BusSpanKind,
    message: u32,
    id: Option<CanId>,
    tick_ns: u32,
    signals: Vec<u16>,
}

impl Place {
    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        let kind = match reader.byte()? {
            0 => BusSpanKind::Frame,
            1 => BusSpanKind::Exchange,
            2 => BusSpanKind::Message,
            3 => BusSpanKind::Diagnostic(Service(reader.byte()?)),
            other => return Err(impossible("span kind", other.into())),
        };
        let message = small("span message", reader.varint()?)?;
        let id = match reader.varint()? {
            0 => None,
            number => Some(read_id("span identifier", number - 1)?),
        };
        let tick_ns = small("span sample tick", reader.varint()?)?;
        let signals = reader.count("span signals", SignalValues::MAX)?;
        let signals =
            (0..signals).map(|_| small("span signal", reader.varint()?)).collect::<Result<_, _>>()?;
        Ok(Self { kind, message, id, tick_ns, signals })
    }
}

/// What is written once for all spans.
struct Tables {
    traces: Vec<[u8; 16]>,
    ids: Vec<[u8; 8]>,
    places: Vec<Place>,
    texts: Vec<Arc<str>>,
}

impl Tables {
    fn read(reader: &mut Reader<'_>, spans: usize) -> Result<Self, BlockError> {
        let mut known = |field, bytes: usize, max: usize| {
            let count = reader.count(field, max)?;
            reader.bytes(bytes * count)
        };
        let traces = known("traces", 16, spans + limits::SPAN_DETAILS_MAX)?;
        let ids = known("span ids", 8, 2 * spans + limits::SPAN_DETAILS_MAX)?;
        let (traces, ids) = (traces.as_chunks().0.to_vec(), ids.as_chunks().0.to_vec());
        let places = reader.count("span places", spans)?;
        let places = (0..places).map(|_| Place::read(reader)).collect::<Result<_, _>>()?;
        // Each takes a byte at least.
        let texts = reader.count("span texts", reader.left())?;
        let texts = (0..texts)
            .map(|_| reader.text("span text", limits::NAME_BYTES_MAX).map(Arc::from))
            .collect::<Result<_, _>>()?;
        Ok(Self { traces, ids, places, texts })
    }

    fn trace(&self, place: u64) -> Result<[u8; 16], BlockError> {
        entry("trace", &self.traces, place)
    }

    fn id(&self, place: u64) -> Result<[u8; 8], BlockError> {
        entry("span id", &self.ids, place)
    }

    fn optional_id(&self, number: u64) -> Result<Option<[u8; 8]>, BlockError> {
        number.checked_sub(1).map(|place| self.id(place)).transpose()
    }

    fn text(&self, place: u64) -> Result<Arc<str>, BlockError> {
        entry("span text", &self.texts, place)
    }
}

/// The columns that every span has.
struct Heads {
    traces: Vec<u64>,
    parents: Vec<u64>,
    own: Vec<u64>,
    flags: Vec<u64>,
    starts: Vec<u64>,
    durations: Vec<u64>,
    clocks: Vec<u64>,
    origins: Vec<u64>,
}

impl Heads {
    fn read(
        reader: &mut Reader<'_>,
        count: usize,
        is_there: impl Fn(u8) -> bool,
    ) -> Result<Self, BlockError> {
        let mut next =
            |is_there: bool| if is_there { column::read(reader, count) } else { Ok(vec![0; count]) };
        Ok(Self {
            traces: next(true)?,
            parents: next(true)?,
            own: next(is_there(0))?,
            flags: next(true)?,
            starts: next(true)?,
            durations: next(is_there(1))?,
            clocks: next(true)?,
            origins: next(true)?,
        })
    }
}

fn read_statuses(
    reader: &mut Reader<'_>,
    count: usize,
    tables: &Tables,
) -> Result<Vec<SpanStatus>, BlockError> {
    let codes = column::read(reader, count)?;
    let detailed = codes.iter().filter(|code| **code >= 3).count();
    let mut details = column::read(reader, detailed)?.into_iter();
    let mut detail = || details.next().unwrap_or(0);
    codes
        .into_iter()
        .map(|code| {
            Ok(match code {
                0 => SpanStatus::Unset,
                1 => SpanStatus::Ok,
                2 => SpanStatus::Error(SpanFailure::NoResponse),
                3 => SpanStatus::Error(SpanFailure::Reported(detail())),
                4 => SpanStatus::Error(SpanFailure::Refused(Nrc(small("response code", detail())?))),
                5 => SpanStatus::Error(SpanFailure::Message(tables.text(detail())?)),
                other => return Err(impossible("span status", other)),
            })
        })
        .collect()
}

fn read_links(reader: &mut Reader<'_>, count: usize, tables: &Tables) -> Result<Vec<SpanLinks>, BlockError> {
    let counts = column::read(reader, count)?;
    let cut = column::read(reader, count)?;
    let links = total("links", &counts, SpanLinks::MAX)?;
    let traces = column::read(reader, links)?;
    let ids = column::read(reader, links)?;
    let mut links = traces.into_iter().zip(ids);
    counts
        .into_iter()
        .zip(cut)
        .map(|(count, cut)| {
            let link = |(trace, id)| Ok(SpanLink { trace_id: tables.trace(trace)?, span_id: tables.id(id)? });
            let of_span =
                links.by_ref().take(count as usize).map(link).collect::<Result<SpanLinks, BlockError>>()?;
            Ok(of_span.with_cut(small("links cut", cut)?))
        })
        .collect()
}

/// Where the spans happened, with all that depends on it.
fn read_origins(
    reader: &mut Reader<'_>,
    origins: &[u64],
    tables: &Tables,
) -> Result<Vec<SpanOrigin>, BlockError> {
    let places = tables.places.len();
    let on_bus = |origin: u64| usize::try_from(origin).ok().filter(|place| *place < places);
    let mut by_place = vec![0; places];
    let mut sampled = 0;
    for place in origins.iter().filter_map(|origin| on_bus(*origin)) {
        by_place[place] += 1;
        sampled += usize::from(tables.places[place].tick_ns > 0);
    }
    let mut delays = column::read(reader, sampled)?.into_iter();
    let mut signals = Vec::with_capacity(places);
    for (place, spans) in tables.places.iter().zip(by_place) {
        let column = |_: &u16| Ok(column::read(reader, spans)?.into_iter());
        signals.push(place.signals.iter().map(column).collect::<Result<Vec<_>, BlockError>>()?);
    }
    let local_spans = origins.iter().filter(|origin| on_bus(**origin).is_none()).count();
    let mut local = Local::read(reader, local_spans, tables)?.into_iter();
    origins
        .iter()
        .map(|&origin| {
            let Some(at) = on_bus(origin) else {
                let kind = origin - places as u64;
                let kind = usize::try_from(kind).ok().and_then(|kind| SpanKind::ALL.get(kind).copied());
                let kind = kind.ok_or_else(|| impossible("span origin", origin))?;
                let mut span = local.next().ok_or_else(|| impossible("span origin", origin))?;
                span.kind = kind;
                return Ok(SpanOrigin::Local(Box::new(span)));
            };
            let Place { kind, message, id, tick_ns, .. } = tables.places[at];
            let mut values = SignalValues::default();
            for (signal, column) in tables.places[at].signals.iter().zip(&mut signals[at]) {
                values.push(*signal, column.next().unwrap_or(0));
            }
            let sample =
                if tick_ns > 0 { Some(read_mark(tick_ns, delays.next().unwrap_or(0))?) } else { None };
            Ok(SpanOrigin::Bus(BusSpan { kind, message, id, signals: values, sample }))
        })
        .collect()
}

fn read_mark(tick_ns: u32, number: u64) -> Result<SampleMark, BlockError> {
    if number > SlotMillis::SHIFT_MAX as u64 + 1 {
        return Err(impossible("sample slot", number));
    }
    Ok(SampleMark { tick_ns, slot_delay_ms: (number as u8).checked_sub(1) })
}

/// Spans of local services.
struct Local;

impl Local {
    fn read(reader: &mut Reader<'_>, count: usize, tables: &Tables) -> Result<Vec<LocalSpan>, BlockError> {
        let services = column::read(reader, count)?;
        let names = column::read(reader, count)?;
        let counts = column::read(reader, count)?;
        let cut = column::read(reader, count)?;
        let attributes = total("attributes", &counts, limits::SPAN_ATTRIBUTES_MAX)?;
        let keys = column::read(reader, attributes)?;
        let types = column::read(reader, attributes)?;
        let values = column::read(reader, attributes)?;
        let mut attributes = keys.into_iter().zip(types).zip(values);
        (0..count)
            .map(|row| {
                let value = |((key, kind), value)| Ok((tables.text(key)?, read_value(kind, value, tables)?));
                let of_span = attributes.by_ref().take(counts[row] as usize).map(value);
                Ok(LocalSpan {
                    service: tables.text(services[row])?,
                    name: tables.text(names[row])?,
                    // Told by the origin.
                    kind: SpanKind::Internal,
                    attributes: of_span.collect::<Result<_, BlockError>>()?,
                    attributes_cut: small("attributes cut", cut[row])?,
                })
            })
            .collect()
    }
}

fn read_value(kind: u64, value: u64, tables: &Tables) -> Result<AttributeValue, BlockError> {
    Ok(match (kind, value) {
        (0, text) => AttributeValue::Text(tables.text(text)?),
        (1, 0 | 1) => AttributeValue::Bool(value == 1),
        (2, value) => AttributeValue::Int(unzigzag(value)),
        (3, bits) => AttributeValue::Double(f64::from_bits(bits)),
        (1, value) => return Err(impossible("attribute", value)),
        (other, _) => return Err(impossible("attribute type", other)),
    })
}
