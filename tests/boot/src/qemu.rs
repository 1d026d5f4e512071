//! One emulated machine: its COM1, its monitor, its end.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::gdb::{self, Gdb};
use crate::pace::Watch;
use crate::picture::Picture;
use crate::row::{Expect, Firmware, Medium, Row};

/// What has been received on COM1 so far, and whether more can come.
#[derive(Default)]
struct Received {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

/// A running machine. It ends with this value, whatever happens.
pub struct Machine {
    qemu: Child,
    /// Whether the host lets it run.
    pace: Option<Watch>,
    keys: ChildStdin,
    received: Arc<Received>,
    monitor: Option<UnixStream>,
    folder: PathBuf,
}

/// A folder whose QEMU runs in place of the one in PATH, and one whose firmware it runs in place of this machine's.
const QEMU: &str = "STRATA_QEMU";
const FIRMWARE: &str = "STRATA_FIRMWARE";

const OVMF: &str = "/usr/share/OVMF";
const OVMF_X64: [&str; 2] = ["OVMF_CODE_4M.fd", "OVMF_CODE.fd"];
const OVMF_IA32: [&str; 1] = ["OVMF32_CODE_4M.secboot.fd"];

/// Whether another QEMU than the one in PATH runs.
pub fn is_another() -> bool {
    env::var_os(QEMU).is_some()
}

/// Where the monitor listens, in the folder of the machine. A socket's path has 107 bytes at most, and the folder may lie deep: so
/// it is always named from the folder.
const MONITOR: &str = "monitor.socket";

impl Machine {
    /// Starts the machine of `row` with `iso` in its drive. Files go to `folder`, in which QEMU runs.
    pub fn start(row: &Row, iso: &Path, folder: &Path) -> Result<Self, String> {
        let absolute = |path: &Path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (folder, iso) = (&absolute(folder)?, &absolute(iso)?);
        let _ = fs::remove_file(folder.join(MONITOR));
        let program = if row.long_mode { "qemu-system-x86_64" } else { "qemu-system-i386" };
        let mut command =
            Command::new(env::var_os(QEMU).map_or(program.into(), |folder| Path::new(&folder).join(program)));
        command.current_dir(folder);
        command.args(["-cpu", row.cpu, "-m", row.memory, "-display", "none", "-no-reboot", "-net", "none"]);
        if row.cpus.0 > 1 {
            command.arg("-smp").arg(row.cpus.0.to_string());
        }
        match row.expect {
            Expect::Silent(_) => command.args(["-serial", "none", "-vga", "none"]),
            _ => command.args(["-serial", "stdio"]),
        };
        match row.card {
            "" => {}
            "none" => _ = command.args(["-vga", "none"]),
            card => _ = command.args(["-vga", "none", "-device", card]),
        }
        if row.leaves() {
            command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        }
        command.arg("-monitor").arg(format!("unix:{MONITOR},server=on,wait=off"));
        if row.bench {
            command.args(["-icount", "shift=0"]);
        }
        if let Expect::NmiInLift(_) = row.expect {
            command.arg("-gdb").arg(format!("unix:{},server=on,wait=off", gdb::SOCKET));
        }
        if !row.machine.is_empty() {
            command.args(["-machine", row.machine]);
        }
        medium(&mut command, row.medium, iso);
        firmware(&mut command, row.firmware, folder)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut qemu = command.spawn().map_err(|error| format!("{program}: {error}; ./setup installs it"))?;
        let (Some(keys), Some(mut com1)) = (qemu.stdin.take(), qemu.stdout.take()) else {
            return Err("QEMU's pipes".into());
        };
        let received = Arc::new(Received::default());
        let sink = Arc::clone(&received);
        let mut log = fs::File::create(folder.join("com1.txt")).map_err(|error| error.to_string())?;
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = com1.read(&mut bytes) {
                let _ = log.write_all(&bytes[..count]);
                let Ok(mut text) = sink.text.lock() else { return };
                text.0.push_str(&String::from_utf8_lossy(&bytes[..count]));
                sink.more.notify_all();
            }
            if let Ok(mut text) = sink.text.lock() {
                text.1 = true;
                sink.more.notify_all();
            }
        });
        let pace = Some(Watch::new(qemu.id()));
        Ok(Self { qemu, pace, keys, received, monitor: None, folder: folder.into() })
    }

    /// Waits until `text` has come on COM1 behind `from`, and returns everything from there to its end.
    pub fn wait_for(&self, text: &str, from: usize, patience: Duration) -> Result<String, String> {
        let end = Instant::now() + patience;
        let mut received = self.received.text.lock().map_err(|_| "the reader failed")?;
        loop {
            if let Some(at) = received.0.get(from..).and_then(|new| new.find(text)) {
                return Ok(received.0[from..from + at + text.len()].into());
            }
            let tail: String = received.0.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            if received.1 {
                return Err(format!("QEMU ended before it said '{text}'; at last: {tail}"));
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return Err(format!("no '{text}' in {} s; at last: {tail}", patience.as_secs()));
            };
            received = self.received.more.wait_timeout(received, left).map_err(|_| "the reader failed")?.0;
        }
    }

    /// Waits for QEMU to close COM1, and returns everything that has come on it behind `from`.
    pub fn rest(&self, from: usize, patience: Duration) -> Result<String, String> {
        let end = Instant::now() + patience;
        let mut received = self.received.text.lock().map_err(|_| "the reader failed")?;
        while !received.1 {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return Err(format!("QEMU was still running after {} s: {}", patience.as_secs(), &received.0[from..]));
            };
            received = self.received.more.wait_timeout(received, left).map_err(|_| "the reader failed")?.0;
        }
        Ok(received.0.get(from..).unwrap_or_default().into())
    }

    /// What has come on COM1 behind `from`.
    pub fn received(&self, from: usize) -> String {
        self.received.text.lock().ok().and_then(|received| received.0.get(from..).map(String::from)).unwrap_or_default()
    }

    /// How much has come on COM1.
    pub fn position(&self) -> usize {
        self.received.text.lock().map_or(0, |received| received.0.len())
    }

    /// Types on COM1.
    pub fn type_keys(&mut self, keys: &str) -> Result<(), String> {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).map_err(|error| format!("COM1: {error}"))
    }

    /// Types a command at the prompt and returns what it prints, prompt excluded.
    pub fn command(&mut self, command: &str, patience: Duration) -> Result<String, String> {
        let from = self.position();
        self.type_keys(&format!("{command}\r"))?;
        let text = self.wait_for("\nstrata> ", from, patience)?;
        Ok(text.lines().skip(1).filter(|line| !line.starts_with("strata> ")).map(|line| format!("{line}\n")).collect())
    }

    /// Has the monitor carry out `command`, after which QEMU may end before it has printed anything.
    pub fn send_monitor(&mut self, command: &str) -> Result<(), String> {
        // The first command connects and waits until the monitor listens.
        self.monitor("info version")?;
        let socket = self.monitor.as_mut().ok_or("no monitor")?;
        socket.write_all(format!("{command}\n").as_bytes()).map_err(|error| format!("QEMU's monitor: {error}"))
    }

    /// Has the monitor carry out `command` and returns what it prints.
    pub fn monitor(&mut self, command: &str) -> Result<String, String> {
        const PROMPT: &[u8] = b"(qemu) ";
        let wrong = |error: std::io::Error| format!("QEMU's monitor: {error}");
        let mut answer = Vec::new();
        let read = |socket: &mut UnixStream, answer: &mut Vec<u8>| {
            let mut bytes = [0; 4096];
            while !answer.ends_with(PROMPT) {
                match socket.read(&mut bytes).map_err(wrong)? {
                    0 => return Err("QEMU's monitor went away".to_string()),
                    count => answer.extend_from_slice(&bytes[..count]),
                }
            }
            Ok(())
        };
        if self.monitor.is_none() {
            let folder = fs::File::open(&self.folder).map_err(wrong)?;
            let mut socket = UnixStream::connect(near(&folder, MONITOR)).map_err(wrong)?;
            socket.set_read_timeout(Some(Duration::from_secs(30))).map_err(wrong)?;
            read(&mut socket, &mut answer)?;
            self.monitor = Some(socket);
            answer.clear();
        }
        let Some(socket) = &mut self.monitor else { return Err("no monitor".into()) };
        socket.write_all(format!("{command}\n").as_bytes()).map_err(wrong)?;
        read(socket, &mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into())
    }

    /// QEMU's stub for gdb, which stops the machine.
    pub fn gdb(&self) -> Result<Gdb, String> {
        let folder = fs::File::open(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Gdb::connect(&near(&folder, gdb::SOCKET))
    }

    /// Stops QEMU's process for `time` and continues it: to the guest, its clocks jump while no CPU runs.
    pub fn suspend(&mut self, time: Duration) -> Result<(), String> {
        if let Some(pace) = &self.pace {
            pace.excuse(true);
        }
        self.signal("STOP")?;
        thread::sleep(time);
        self.signal("CONT")?;
        if let Some(pace) = &self.pace {
            pace.excuse(false);
        }
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<(), String> {
        let kill = format!("kill -{name} {}", self.qemu.id());
        match Command::new("sh").args(["-c", &kill]).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("'{kill}' ended with {status}")),
            Err(error) => Err(format!("'{kill}': {error}")),
        }
    }

    /// A 4 KiB page of physical memory.
    pub fn physical_page(&mut self, address: u64) -> Result<Vec<u8>, String> {
        let file = self.folder.join("page.bin");
        let _ = fs::remove_file(&file);
        let said = self.monitor(&format!("pmemsave {address:#x} 4096 \"{}\"", file.display()))?;
        match fs::read(&file) {
            Ok(page) if page.len() == 4096 => Ok(page),
            _ => Err(format!("physical memory at {address:#x} cannot be read: {said}")),
        }
    }

    /// Saves the screen as a picture, and returns it.
    pub fn screenshot(&mut self, name: &str) -> Result<Picture, String> {
        let file = self.folder.join("screen.ppm");
        let _ = fs::remove_file(&file);
        self.monitor(&format!("screendump \"{}\"", file.display()))?;
        let ppm = fs::read(&file).map_err(|error| format!("no screenshot: {error}"))?;
        let _ = fs::remove_file(&file);
        let picture = Picture::parse(&ppm)?;
        picture.save(&self.folder.join(name))?;
        Ok(picture)
    }

    /// Waits for QEMU to end by itself and returns its exit status.
    pub fn exit_status(&mut self, patience: Duration) -> Result<i32, String> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.qemu.try_wait().map_err(|error| error.to_string())? {
                return status.code().ok_or_else(|| "QEMU was killed".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("QEMU was still running after {} s", patience.as_secs()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its threads can be looked at until the process has been waited for.
        self.pace = None;
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let _ = fs::remove_file(self.folder.join(MONITOR));
        let _ = fs::remove_file(self.folder.join(gdb::SOCKET));
        let _ = fs::remove_file(self.folder.join("page.bin"));
        let _ = fs::remove_file(self.folder.join("vars.fd"));
    }
}

/// The socket `name` in `folder`, by a path that is short however deep the folder lies.
fn near(folder: &fs::File, name: &str) -> PathBuf {
    format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()).into()
}

/// Puts `iso` on the medium that the machine is to boot from. Rows share the file, so what a disk is written is forgotten.
fn medium(command: &mut Command, medium: Medium, iso: &Path) {
    const AHCI: &str = "ich9-ahci,id=controller";
    let (controller, device) = match medium {
        Medium::Cd => {
            command.arg("-cdrom").arg(iso);
            return;
        }
        Medium::AhciCd => (AHCI, "ide-cd,bus=controller.0"),
        Medium::AhciDisk => (AHCI, "ide-hd,bus=controller.0"),
        Medium::UsbXhci => ("qemu-xhci,id=controller", "usb-storage,bus=controller.0"),
        Medium::UsbEhci => ("usb-ehci,id=controller", "usb-storage,bus=controller.0"),
    };
    command.arg("-drive").arg(format!("if=none,id=medium,format=raw,snapshot=on,file={}", iso.display()));
    command.args(["-device", controller, "-device", &format!("{device},drive=medium,bootindex=0")]);
}

fn firmware(command: &mut Command, firmware: Firmware, folder: &Path) -> Result<(), String> {
    let candidates: &[&str] = match firmware {
        Firmware::Bios => return Ok(()),
        Firmware::UefiX64 => &OVMF_X64,
        Firmware::UefiIa32 => {
            // This build of the firmware has System Management Mode compiled in and stops without it.
            command.args(["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]);
            &OVMF_IA32
        }
    };
    let installed = env::var(FIRMWARE).unwrap_or(OVMF.into());
    let code = candidates.iter().map(|file| format!("{installed}/{file}")).find(|file| Path::new(file).exists());
    let code =
        code.ok_or_else(|| format!("none of {candidates:?} is in {installed}; ./setup installs the firmware"))?;
    let variables = code.replace("_CODE", "_VARS").replace(".secboot", "");
    let own = folder.join("vars.fd");
    fs::copy(&variables, &own).map_err(|error| format!("{variables}: {error}"))?;
    command.arg("-drive").arg(format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"));
    command.arg("-drive").arg(format!("if=pflash,unit=1,format=raw,file={}", own.display()));
    Ok(())
}
