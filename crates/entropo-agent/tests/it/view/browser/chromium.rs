//! Chromium without a window, told what to do through its DevTools protocol: JSON that ends with a NUL, over two pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What is not answered by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Chromium {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
}

/// The browser on the search path.
pub(super) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

impl Chromium {
    /// Starts the browser with a profile in `folder`.
    pub(super) fn start(program: &Path, folder: &Path) -> Self {
        // It reads from descriptor 3 and writes to 4. Root has no sandbox of Chromium's; what is opened is a page of ours.
        let script = "exec \"$0\" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
                      --hide-scrollbars --window-size=1200,800 --remote-debugging-pipe --user-data-dir=\"$1\" about:blank \
                      3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut process = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg(program)
            .arg(folder.join("profile"))
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (send, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0) {
                let Some(message) = message.ok().and_then(|text| serde_json::from_slice(&text).ok()) else { break };
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { process, input, messages, last: 0, session: None };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.session = browser.ask("Target.attachToTarget", attach)["sessionId"].as_str().map(str::to_owned);
        let size = json!({"width": 1200, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        browser.ask("Emulation.setDeviceMetricsOverride", size);
        browser
    }

    /// Opens an address and waits until the page says that it is there.
    pub(super) fn go(&mut self, address: &str) {
        self.ask("Page.navigate", json!({"url": address}));
        self.wait("document.documentElement?.dataset.opened !== undefined");
    }

    /// Presses one key after the other.
    pub(super) fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.press(&key.to_string(), &key.to_string());
        }
    }

    pub(super) fn press(&mut self, key: &str, text: &str) {
        self.ask("Input.dispatchKeyEvent", json!({"type": "keyDown", "key": key, "text": text}));
        self.ask("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
    }

    pub(super) fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} gave {value}")).to_owned()
    }

    /// Waits until the expression is the text: what comes near the screen is drawn only after the next frame.
    pub(super) fn shows(&mut self, expression: &str, expected: &str) {
        let begun = Instant::now();
        loop {
            let shown = self.text(expression);
            if shown == expected {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{expression} stays {shown:?} and never is {expected:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(expression);
        value.as_f64().unwrap_or_else(|| panic!("{expression} gave {value}"))
    }

    /// Waits until the expression is true.
    pub(super) fn wait(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.value(expression) != true {
            assert!(begun.elapsed() < PATIENCE, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Width, height and number of colours of what is on the screen. The browser itself reads its picture, on a page without
    /// a policy.
    pub(super) fn seen(&mut self) -> (f64, f64, f64) {
        let picture = self.ask("Page.captureScreenshot", json!({"format": "png"}));
        let picture = picture["data"].as_str().unwrap().to_owned();
        self.ask("Page.navigate", json!({"url": "about:blank"}));
        self.wait("location.href === 'about:blank' && document.readyState === 'complete'");
        let read = format!(
            "(async () => {{ const image = new Image(); image.src = 'data:image/png;base64,{picture}'; await image.decode(); \
             const canvas = new OffscreenCanvas(image.width, image.height); const context = canvas.getContext('2d'); \
             context.drawImage(image, 0, 0); \
             const points = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer); \
             return [image.width, image.height, new Set(points).size]; }})()"
        );
        let seen = self.value(&read);
        (seen[0].as_f64().unwrap(), seen[1].as_f64().unwrap(), seen[2].as_f64().unwrap())
    }

    fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == self.last {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // All of its processes end with it, and the profile may then be deleted.
        let _ = self.input.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
