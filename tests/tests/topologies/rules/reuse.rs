//! The same two ports, again and again.
//!
//! ```text
//! red-2, and red-3 on h2 (let nothing in) ── TCP from one port ──► red-1 port 2000 (may start nothing)
//! ```

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Socket, Type};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::probe::ANSWER;

use super::{family, intent, number, tell};

const RULES: &str = r#"[{"direction":"egress","action":"deny","priority":2000},
    {"direction":"ingress","protocol":"tcp","ports":2000}]"#;
const PORT: u16 = 2000;
const TIMES: u32 = 20;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The server closes, then the client: FIN and FIN.
    Fin,
    /// The client aborts: RST.
    ClientReset,
    /// The server aborts.
    ServerReset,
    /// The client forgets it, as one that loses power and comes back.
    Vanishes,
}

/// In: a client that connects from the same port to the same port twenty times, at once after the last connection has ended
/// by FIN, by its RST, or by the server's; and one that has forgotten that it was connected. Out: each connection carries data
/// in both directions.
pub fn of_ports_starts_another_connection(cloud: &Cloud<'_>) -> Result<()> {
    tell(cloud, &intent(RULES, "[]")?)?;
    let server = cloud.pod("red-1");
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
    let listener = server.namespace.run(|| TcpListener::bind(any))??;
    listener.set_nonblocking(true)?;
    for client in ["red-2", "red-3"].map(|name| cloud.pod(name)) {
        for to in server.addresses() {
            for (end, times) in
                [(End::Fin, TIMES), (End::ClientReset, TIMES), (End::ServerReset, TIMES), (End::Vanishes, 2)]
            {
                let from = number();
                for time in 0..times {
                    connection(client, from, SocketAddr::new(to, PORT), &listener, end).with_context(
                        || format!("{} over {}, {end:?}, connection {time}", client.name, family(to)),
                    )?;
                }
            }
        }
        println!("{}: {} connections between the same ports, one after the other", client.name, 3 * TIMES);
    }
    Ok(())
}

/// Connects, has both say something, and ends it.
fn connection(client: &Pod, from: u16, to: SocketAddr, listener: &TcpListener, end: End) -> Result<()> {
    let mut near = client.namespace.run(|| connect(from, to))??;
    let mut far = weft_tests::wait_for(ANSWER, "a connection", || match listener.accept() {
        Ok((stream, _)) => Ok(stream),
        Err(error) => Err(error.to_string()),
    })?;
    far.set_nonblocking(false)?;
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(ANSWER))?;
    }
    let mut said = [0; 4];
    near.write_all(b"ping")?;
    far.read_exact(&mut said)?;
    far.write_all(b"pong")?;
    near.read_exact(&mut said)?;
    ensure!(said == *b"pong", "{said:?}");
    match end {
        End::Fin => {
            far.shutdown(Shutdown::Write)?;
            ensure!(near.read(&mut said)? == 0, "no end");
            drop(near);
            ensure!(far.read(&mut said)? == 0, "no end");
        }
        End::ClientReset => {
            abort(near)?;
            ensure!(far.read(&mut said).is_err(), "no reset");
        }
        End::ServerReset => {
            abort(far)?;
            ensure!(near.read(&mut said).is_err(), "no reset");
        }
        End::Vanishes => forget(near)?,
    }
    Ok(())
}

fn connect(from: u16, to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    let any = if to.is_ipv4() { "0.0.0.0".parse()? } else { "::".parse()? };
    socket.bind(&SocketAddr::new(any, from).into())?;
    // Who has forgotten a connection is told so, and asks again after a second.
    socket.connect_timeout(&to.into(), ANSWER * 2)?;
    Ok(socket.into())
}

fn abort(stream: TcpStream) -> Result<()> {
    let socket = Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO))?;
    drop(socket);
    Ok(())
}

/// Closes a connection without a word to the other side.
fn forget(stream: TcpStream) -> Result<()> {
    weft_tests::repair(&stream)?;
    drop(stream);
    Ok(())
}
