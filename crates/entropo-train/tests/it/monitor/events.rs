//! A reader of event files that shares nothing with the writer: checksums bit by bit, protobuf byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use entropo_train::monitor::{EventLog, Record};

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Number(u64),
    Eight(u64),
    Four(u32),
    Bytes(Vec<u8>),
}

/// The scalars that a reader shows, by name and step: of all files in the order of their names, where a restart drops
/// what was said before of its step and of later ones.
pub(super) fn read_directory(directory: &Path) -> BTreeMap<(String, usize), f32> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().contains("tfevents"));
    files.sort();
    let mut scalars = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let events = frames(&fs::read(file).unwrap());
        assert_eq!(fields(&events[0])[&3], [Field::Bytes(b"brain.Event:2".to_vec())]);
        for event in &events[1..] {
            let event = fields(event);
            let step = match event.get(&2).map(|values| &values[0]) {
                None => 0,
                Some(Field::Number(step)) => *step as usize,
                other => panic!("{other:?}"),
            };
            if let Some([Field::Bytes(session)]) = event.get(&7).map(Vec::as_slice) {
                assert_eq!(fields(session)[&1], [Field::Number(1)]); // START
                if index > 0 {
                    scalars.retain(|(_, known), _| *known < step);
                }
            }
            if let Some([Field::Bytes(summary)]) = event.get(&5).map(Vec::as_slice) {
                for value in &fields(summary)[&1] {
                    let Field::Bytes(value) = value else { panic!("{value:?}") };
                    let value = fields(value);
                    let ([Field::Bytes(tag)], [Field::Four(bits)]) = (&value[&1][..], &value[&2][..]) else {
                        panic!("{value:?}")
                    };
                    let place = (String::from_utf8(tag.clone()).unwrap(), step);
                    assert_eq!(scalars.insert(place, f32::from_bits(*bits)), None);
                }
            }
        }
    }
    scalars
}

/// The data of every frame, its checksums checked.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(masked(&bytes[..8]).to_le_bytes(), bytes[8..12]);
        let data = &bytes[12..12 + length];
        assert_eq!(masked(data).to_le_bytes(), bytes[12 + length..16 + length]);
        frames.push(data.to_vec());
        bytes = &bytes[16 + length..];
    }
    frames
}

/// The masked CRC-32C, from its polynomial.
fn masked(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A message's fields by number.
fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<Field>> {
    let mut fields: BTreeMap<u64, Vec<Field>> = BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Eight(u64::from_le_bytes(split(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(split(&mut bytes, length).to_vec())
            }
            5 => Field::Four(u32::from_le_bytes(split(&mut bytes, 4).try_into().unwrap())),
            other => panic!("wire type {other}"),
        };
        fields.entry(key >> 3).or_default().push(field);
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = split(bytes, 1)[0];
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    value
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (head, tail) = bytes.split_at(length);
    *bytes = tail;
    head
}

#[test]
fn times_steps_and_values_are_where_readers_look() {
    let mut bytes = Vec::new();
    let mut log = EventLog::new(&mut bytes, 300, 12.5).unwrap();
    let scalars = BTreeMap::from([("a".to_owned(), -1.5), ("b".to_owned(), f64::INFINITY)]);
    log.record(&Record { step: 300, scalars, ..Record::default() }, 13.5).unwrap();
    let events: Vec<_> = frames(&bytes).iter().map(|data| fields(data)).collect();
    assert_eq!(events.len(), 3);
    let times: Vec<_> = events.iter().map(|event| event[&1].clone()).collect();
    let expected = [12.5_f64, 12.5, 13.5].map(|time| vec![Field::Eight(time.to_bits())]);
    assert_eq!(times, expected);
    assert_eq!(events[2][&2], [Field::Number(300)]);
    let Field::Bytes(summary) = &events[2][&5][0] else { panic!() };
    assert_eq!(fields(summary)[&1].len(), 2);
}
