// echo.rs: a small server on mio: a table of clients by token; each reads until there is no more,
// and keeps what its socket does not take.
// Leaves out limits, time-outs and a way to stop.
// Run as: mio PORT

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use std::io::{self, ErrorKind, Read, Write};

const BUFFER_BYTES: usize = 65536;
const LISTENER: Token = Token(usize::MAX);

struct Client {
    stream: TcpStream,
    rest: Vec<u8>, // what the socket did not take; while there is any, nothing is read
}

/// Retry what a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => return result,
        }
    }
}

impl Client {
    /// Send what is kept. Return whether nothing is left.
    fn send_rest(&mut self) -> io::Result<bool> {
        while !self.rest.is_empty() {
            let Client { stream, rest } = self;
            match retry(|| stream.write(rest)) {
                Ok(sent) => drop(self.rest.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.rest = Vec::new();
        Ok(true)
    }

    /// Echo until the socket has or takes no more. Return whether the connection goes on.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        while self.send_rest()? {
            match retry(|| self.stream.read(buffer)) {
                Ok(0) => return Ok(false),
                Ok(received) => {
                    let bytes = &buffer[..received];
                    let sent = match retry(|| self.stream.write(bytes)) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                        result => result?,
                    };
                    self.rest.extend_from_slice(&bytes[sent..]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The clients; a free place is taken again.
#[derive(Default)]
struct Table {
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
}

impl Table {
    fn insert(&mut self, registry: &Registry, mut stream: TcpStream) -> io::Result<()> {
        let place = self.free.pop().unwrap_or(self.clients.len());
        registry.register(&mut stream, Token(place), Interest::READABLE | Interest::WRITABLE)?;
        if place == self.clients.len() {
            self.clients.push(None);
        }
        self.clients[place] = Some(Client { stream, rest: Vec::new() });
        Ok(())
    }

    fn accept(&mut self, registry: &Registry, listener: &TcpListener) -> io::Result<()> {
        loop {
            match retry(|| listener.accept()) {
                Ok((stream, _)) => self.insert(registry, stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn serve(&mut self, place: usize, buffer: &mut [u8]) {
        if let Some(client) = &mut self.clients[place] {
            if !matches!(client.echo(buffer), Ok(true)) {
                self.clients[place] = None;
                self.free.push(place);
            }
        }
    }
}

fn main() -> io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("PORT");
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut table = Table::default();

    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    loop {
        retry(|| poll.poll(&mut events, None))?;
        for event in &events {
            match event.token() {
                LISTENER => table.accept(poll.registry(), &listener)?,
                Token(place) => table.serve(place, &mut buffer),
            }
        }
    }
}
