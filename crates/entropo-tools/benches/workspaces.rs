//! How long workspaces of a large repository take to make and to compare, and what they take of the disk.
//!
//! `cargo bench -p entropo-tools --bench workspaces -- PLACE [WORKSPACES] [STRATEGY…]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures or fails")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use entropo_tools::{Strategy, Template, Workspace};

const FILES: usize = 50_000;
const EDITED: [usize; 3] = [17, 25_000, 49_999];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let place = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let count = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(64_usize);
    let wanted = |strategy: &Strategy| {
        let name = format!("{strategy:?}").to_lowercase();
        arguments.len() < 3 || arguments.iter().skip(2).any(|argument| *argument == name)
    };
    let source = tempfile::tempdir_in(&place).unwrap();
    let bytes = generate(source.path());
    println!("{FILES} files, {} MB, {count} workspaces in {}", bytes / 1_000_000, place.display());
    println!("strategy          template  first  median   max  patch  max  remove  disk (% of one copy)");
    for strategy in Strategy::ALL.into_iter().filter(wanted) {
        measure(source.path(), &place, strategy, count).await;
    }
}

/// Sources of 50,000 files in 1,000 directories, each of 2 to 10 kB, the same each time.
fn generate(root: &Path) -> u64 {
    let mut bytes = 0;
    let mut state = 1_u64;
    for number in 0..FILES {
        let path = root.join(file(number));
        if number % 50 == 0 {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let mut text = String::new();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for line in 0..(80 + state % 320) {
            writeln!(text, "let x{line} = {number} * {};", state ^ line).unwrap();
        }
        bytes += text.len() as u64;
        std::fs::write(path, text).unwrap();
    }
    bytes
}

fn file(number: usize) -> PathBuf {
    format!("src/part{}/module{}/file{number}.rs", number / 500, number / 50).into()
}

async fn measure(source: &Path, place: &Path, strategy: Strategy, count: usize) {
    let before = used(place);
    let begun = Instant::now();
    let template = match Template::of(source).place(place).strategy(strategy).make().await {
        Ok(template) => template,
        Err(error) => return println!("{:17} {error}", strategy.to_string()),
    };
    let laid_down = begun.elapsed();
    let one = used(place).saturating_sub(before).max(1);
    let (mut workspaces, mut making, mut comparing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let begun = Instant::now();
        workspaces.push(Workspace::of(template.clone()).await.unwrap());
        making.push(begun.elapsed());
    }
    for workspace in &workspaces {
        for number in EDITED {
            let path = workspace.root().join(file(number));
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, text.replacen("let x7 ", "let seven ", 1)).unwrap();
        }
    }
    for workspace in &workspaces {
        let begun = Instant::now();
        let patch = workspace.patch().await.unwrap();
        comparing.push(begun.elapsed());
        assert_eq!(patch.matches("diff --git").count(), EDITED.len());
    }
    let more = used(place).saturating_sub(one + before);
    let begun = Instant::now();
    drop((workspaces, template));
    let removing = begun.elapsed();
    let first = making.remove(0);
    println!(
        "{:17} {:7.2} s {:5.3} {:6.3} {:6.3} {:6.3} {:6.3} {:6.2} s {:6.1} MB ({:.1} %)",
        strategy.to_string(),
        laid_down.as_secs_f64(),
        first.as_secs_f64(),
        median(&mut making),
        longest(&making),
        median(&mut comparing),
        longest(&comparing),
        removing.as_secs_f64(),
        more as f64 / 1e6,
        100.0 * more as f64 / one as f64
    );
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

fn longest(times: &[Duration]) -> f64 {
    times.iter().max().map_or(0.0, Duration::as_secs_f64)
}

/// Bytes in use of the file system, after all that is only in memory was written.
fn used(place: &Path) -> u64 {
    let directory = std::fs::File::open(place).unwrap();
    rustix::fs::syncfs(&directory).unwrap();
    let system = rustix::fs::statvfs(place).unwrap();
    (system.f_blocks - system.f_bfree) * system.f_frsize
}
