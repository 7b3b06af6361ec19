//! A network between the services and Redis that can drop packets without an error. (A closed
//! connection is easier to notice, because the system reports it.) When a real network recovers, TCP
//! sends the held bytes again; the relay does the same.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub(crate) struct Relay {
    port: u16,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    silent: bool,
    connections: usize,
    /// Connections with a lower number stay silent after the network has recovered.
    left_behind: usize,
    /// The limit of each direction of each connection; 0 is no limit.
    bytes_per_second: usize,
}

impl Relay {
    /// A relay to this port.
    pub(crate) fn to(redis: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Arc::new(Network::default());
        std::thread::spawn({
            let network = network.clone();
            move || {
                for client in listener.incoming() {
                    // If Redis is down, the client sees a closed connection.
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", redis)) {
                        network.join(client.unwrap(), server);
                    }
                }
            }
        });
        Relay { port, network }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Limits the speed from now on.
    pub(crate) fn limit(&self, bytes_per_second: usize) {
        self.network.change(|state| state.bytes_per_second = bytes_per_second);
    }

    /// Delivers nothing from now on.
    pub(crate) fn go_silent(&self) {
        self.network.change(|state| state.silent = true);
    }

    /// New connections work from now on. Existing ones stay silent.
    pub(crate) fn recover_for_new_connections(&self) {
        self.network.change(|state| {
            state.silent = false;
            state.left_behind = state.connections;
        });
    }

    /// Delivers the held bytes of the existing connections.
    pub(crate) fn deliver_late(&self) {
        self.network.change(|state| state.left_behind = 0);
    }
}

impl Network {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn join(self: &Arc<Network>, client: TcpStream, server: TcpStream) {
        let mut number = 0;
        self.change(|state| {
            number = state.connections;
            state.connections += 1;
        });
        let directions =
            [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
        for (from, to) in directions {
            let network = self.clone();
            std::thread::spawn(move || network.carry(number, from, to));
        }
    }

    /// Copies one direction of a connection, then closes it.
    fn carry(&self, number: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut packet = vec![0; 64 * 1024];
        loop {
            let size = from.read(&mut packet).unwrap_or(0);
            let held = |state: &mut State| state.silent || number < state.left_behind;
            let state = self.changed.wait_while(self.state.lock().unwrap(), held).unwrap();
            if let bytes_per_second @ 1.. = state.bytes_per_second {
                drop(state);
                let seconds = size as f64 / bytes_per_second as f64;
                std::thread::sleep(Duration::from_secs_f64(seconds));
            } else {
                drop(state);
            }
            if size == 0 || to.write_all(&packet[..size]).is_err() {
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
