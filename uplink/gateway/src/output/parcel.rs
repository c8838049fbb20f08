//! Requests made of pieces.
//!
//! The requests of remote-write and OTLP are protobuf messages whose only field is repeated. Such messages may be
//! joined by putting their bytes one after the other, and taken apart between them again. So every block is encoded by
//! itself, the same bytes whenever and with whatever it travels, and a request that is refused can be halved until it
//! is known which piece is to blame.

use core::ops::Range;

/// Most records of one request.
pub(super) const RECORDS_MAX: usize = 10_000;
/// Most bytes of one request before compression, unless a single piece is larger.
const BYTES_MAX: usize = 4 << 20;
/// Most requests spent on finding the pieces to blame in one that was refused.
const HALVINGS_MAX: usize = 64;

/// Pieces that are to travel together.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    records: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    end: usize,
    records: usize,
}

impl Parcel {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether a piece may join. An empty parcel takes any.
    pub(super) fn has_room(&self, bytes: usize, records: usize) -> bool {
        self.is_empty() || (self.bytes.len() + bytes <= BYTES_MAX && self.records + records <= RECORDS_MAX)
    }

    pub(super) fn add(&mut self, piece: &[u8], records: usize) {
        self.bytes.extend_from_slice(piece);
        self.pieces.push(Piece { end: self.bytes.len(), records });
        self.records += records;
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.records = 0;
    }

    fn bytes(&self, pieces: &Range<usize>) -> &[u8] {
        let start = pieces.start.checked_sub(1).map_or(0, |before| self.pieces[before].end);
        let end = pieces.end.checked_sub(1).map_or(0, |last| self.pieces[last].end);
        &self.bytes[start..end]
    }

    fn records(&self, pieces: &Range<usize>) -> usize {
        self.pieces[pieces.clone()].iter().map(|piece| piece.records).sum()
    }
}

/// A parcel on its way: what to send next, and what became of it.
pub(super) struct Dispatch<'a> {
    parcel: &'a Parcel,
    /// Pieces still to be sent, the next ones last.
    waiting: Vec<Range<usize>>,
    halvings: usize,
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(parcel: &'a Parcel) -> Self {
        let all = 0..parcel.pieces.len();
        Self { parcel, waiting: if all.is_empty() { Vec::new() } else { vec![all] }, halvings: 0 }
    }

    /// The bytes to send next; `None` when all is done.
    pub(super) fn next(&self) -> Option<&'a [u8]> {
        self.waiting.last().map(|pieces| self.parcel.bytes(pieces))
    }

    /// The receiver took them.
    pub(super) fn accepted(&mut self) {
        self.waiting.pop();
    }

    /// The receiver refused them: halves are tried, as far as that leads. Gives the number of records that are lost.
    pub(super) fn refused(&mut self) -> usize {
        let Some(pieces) = self.waiting.pop() else { return 0 };
        if pieces.len() < 2 || self.halvings == HALVINGS_MAX {
            return self.parcel.records(&pieces);
        }
        self.halvings += 1;
        let middle = pieces.start + pieces.len() / 2;
        self.waiting.push(middle..pieces.end);
        self.waiting.push(pieces.start..middle);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(pieces: u8) -> Parcel {
        let mut parcel = Parcel::default();
        (0..pieces).for_each(|piece| parcel.add(&[piece, piece], 10));
        parcel
    }

    /// Sends to a receiver that refuses whatever holds a bad piece; gives what arrived, records lost, and requests.
    fn send(parcel: &Parcel, bad: &[u8]) -> (Vec<u8>, usize, usize) {
        let (mut arrived, mut lost, mut requests) = (Vec::new(), 0, 0);
        let mut dispatch = Dispatch::new(parcel);
        while let Some(bytes) = dispatch.next() {
            requests += 1;
            if bytes.iter().any(|byte| bad.contains(byte)) {
                lost += dispatch.refused();
            } else {
                arrived.extend_from_slice(bytes);
                dispatch.accepted();
            }
        }
        (arrived, lost, requests)
    }

    #[test]
    fn an_accepted_parcel_is_one_request() {
        assert_eq!(send(&parcel(3), &[]), (vec![0, 0, 1, 1, 2, 2], 0, 1));
        assert_eq!(send(&Parcel::default(), &[]), (vec![], 0, 0));
    }

    #[test]
    fn a_bad_piece_does_not_cost_its_neighbours_and_order_is_kept() {
        let (arrived, lost, requests) = send(&parcel(100), &[42]);
        let expected: Vec<u8> =
            (0..100).filter(|&piece| piece != 42).flat_map(|piece| [piece, piece]).collect();
        assert_eq!((arrived, lost), (expected, 10));
        assert!(requests <= 2 * 7 + 1, "{requests}");
    }

    #[test]
    fn a_parcel_of_bad_pieces_only_takes_a_bounded_number_of_requests() {
        let all: Vec<u8> = (0..200).collect();
        let (arrived, lost, requests) = send(&parcel(200), &all);
        assert_eq!((arrived.len(), lost), (0, 2000));
        assert!(requests <= 2 * HALVINGS_MAX + 1, "{requests}");
    }

    #[test]
    fn room_is_bounded_by_records_and_bytes() {
        let mut parcel = Parcel::default();
        assert!(parcel.has_room(BYTES_MAX + 1, 1));
        parcel.add(&[0; 100], RECORDS_MAX - 1);
        assert!(parcel.has_room(BYTES_MAX - 100, 1));
        assert!(!parcel.has_room(BYTES_MAX - 99, 1));
        assert!(!parcel.has_room(1, 2));
        parcel.clear();
        assert!(parcel.is_empty() && parcel.has_room(1, RECORDS_MAX + 1));
    }
}
