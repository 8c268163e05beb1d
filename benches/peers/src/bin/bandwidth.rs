//! How fast this machine's memory can be read: the ceiling of decoding, which reads every weight once a step.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use clap::Parser;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Read by each thread; many times the caches.
    #[arg(long, default_value_t = 512)]
    mebibytes: usize,
    /// Sweeps, of which the fastest counts.
    #[arg(long, default_value_t = 10)]
    repeats: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let by_streams = [1, 2, 4, 8].map(|streams| (streams.to_string(), bytes_per_s(&arguments, streams)));
    let fastest = by_streams.iter().map(|(_streams, rate)| *rate).fold(0.0, f64::max);
    let by_streams = BTreeMap::from(by_streams);
    let threads = arguments.threads;
    println!("{}", serde_json::json!({ "threads": threads, "bytes_per_s": fastest, "by_streams": by_streams }));
    Ok(())
}

/// The fastest of all sweeps, every thread reading its own buffer at `streams` places at once.
fn bytes_per_s(arguments: &Arguments, streams: usize) -> f64 {
    let words = arguments.mebibytes * (1 << 20) / 8;
    let (begin, end) = (Barrier::new(arguments.threads + 1), Barrier::new(arguments.threads + 1));
    let seconds = thread::scope(|scope| {
        for thread in 0..arguments.threads {
            let (begin, end) = (&begin, &end);
            scope.spawn(move || {
                let buffer: Vec<u64> = (0..words).map(|at| (at * (thread + 3)) as u64).collect();
                for _ in 0..arguments.repeats {
                    begin.wait();
                    black_box(sum(black_box(&buffer), streams));
                    end.wait();
                }
            });
        }
        let sweep = |_| {
            begin.wait();
            let start = Instant::now();
            end.wait();
            start.elapsed().as_secs_f64()
        };
        (0..arguments.repeats).map(sweep).fold(f64::INFINITY, f64::min)
    });
    (arguments.threads * words * 8) as f64 / seconds
}

/// The sum of the buffer, cut in `streams` equal parts that are walked side by side, a page at a time.
fn sum(buffer: &[u64], streams: usize) -> u64 {
    const PAGE: usize = 512;
    let part = buffer.len() / streams;
    (0..part).step_by(PAGE).fold(0, |total, at| {
        (0..streams).fold(total, |total: u64, stream| {
            let from = stream * part + at;
            let page = &buffer[from..(from + PAGE).min((stream + 1) * part)];
            total.wrapping_add(page.iter().fold(0, |sum, word| sum.wrapping_add(*word)))
        })
    })
}
