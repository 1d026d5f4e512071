//! QEMU's stub for gdb, as far as is needed to stop a machine at an instruction (GDB manual, "Remote Protocol").

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Where the stub listens, in the folder of the machine, in which QEMU runs.
pub const SOCKET: &str = "gdb.socket";

/// How long the machine may take until it stops.
const PATIENCE: Duration = Duration::from_secs(120);

/// A stopped machine with one CPU, unless it was told to continue.
pub struct Gdb(UnixStream);

impl Gdb {
    /// Connects to the stub at `path`, which stops the machine.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let wrong = |error| format!("QEMU's gdb stub: {error}");
        let socket = UnixStream::connect(path).map_err(wrong)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
        Ok(Self(socket))
    }

    /// Continues until the instruction at `address` is the next. `begin` runs once the machine does.
    pub fn run_to(&mut self, address: u64, begin: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        self.expect(&format!("Z0,{address:x},1"), "OK")?;
        self.send("c")?;
        begin()?;
        self.stopped()?;
        self.expect(&format!("z0,{address:x},1"), "OK")
    }

    /// Runs one instruction, with interrupts held back.
    pub fn step(&mut self) -> Result<(), String> {
        self.send("s")?;
        self.stopped()
    }

    /// Continues for good.
    pub fn detach(mut self) -> Result<(), String> {
        self.expect("D", "OK")
    }

    /// Waits for the reply that says that the machine has stopped at a breakpoint or behind a step.
    fn stopped(&mut self) -> Result<(), String> {
        let reply = self.receive()?;
        if reply.starts_with("T05") || reply.starts_with("S05") {
            Ok(())
        } else {
            Err(format!("QEMU's gdb stub does not stop at the breakpoint: '{reply}'"))
        }
    }

    fn expect(&mut self, packet: &str, expected: &str) -> Result<(), String> {
        self.send(packet)?;
        loop {
            match self.receive()? {
                reply if reply == expected => return Ok(()),
                // Before version 8.1 QEMU reports by itself that the connection has stopped the machine.
                reply if reply.starts_with("T02") => {}
                reply => return Err(format!("QEMU's gdb stub answers '{packet}' by '{reply}'")),
            }
        }
    }

    fn send(&mut self, packet: &str) -> Result<(), String> {
        let text = format!("${packet}#{:02x}", packet.bytes().fold(0, u8::wrapping_add));
        self.0.write_all(text.as_bytes()).map_err(|error| format!("QEMU's gdb stub: {error}"))
    }

    /// The next packet, without its frame. Acknowledgements of what was sent are skipped.
    fn receive(&mut self) -> Result<String, String> {
        let mut body = Vec::new();
        while self.byte()? != b'$' {}
        loop {
            match self.byte()? {
                b'#' => break,
                byte => body.push(byte),
            }
        }
        let _checksum = (self.byte()?, self.byte()?);
        self.0.write_all(b"+").map_err(|error| format!("QEMU's gdb stub: {error}"))?;
        String::from_utf8(body).map_err(|_| "QEMU's gdb stub: no text".into())
    }

    fn byte(&mut self) -> Result<u8, String> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).map_err(|error| format!("QEMU's gdb stub: {error}"))?;
        Ok(byte[0])
    }
}
