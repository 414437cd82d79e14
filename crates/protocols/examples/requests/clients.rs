use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::judge::address;

const THREADS: usize = 2;
/// Connections of each thread; each has one request under way at a time, as mail servers do.
const CONNECTIONS: usize = 16;
/// Different requests, used in turns: every tenth client is blocked.
const VARIETY: usize = 4096;

/// What was found in one run.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    /// Processor time of one request: of clients, system and server together. What else the machine does is not in it.
    pub(crate) cpu_micros: f64,
    /// The part of it that is not the clients'.
    pub(crate) server_micros: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    AuthPolicy,
    PolicyService,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::AuthPolicy => "Dovecot auth policy, allow",
            Protocol::PolicyService => "Postfix policy, RCPT",
        })
    }
}

impl Protocol {
    /// What a peer that never gets to the end begins with.
    pub(crate) const fn beginning(self) -> &'static [u8] {
        match self {
            Protocol::AuthPolicy => b"POST /?command=allow HTTP/1.1\r\nHost: x",
            Protocol::PolicyService => b"request=smtpd_access_policy\nprotocol_st",
        }
    }

    fn request(self, number: usize) -> Vec<u8> {
        // Blocks are the first of all addresses.
        let client = address(if number.is_multiple_of(10) { 17 * number as u64 } else { (number as u64) << 24 });
        match self {
            Protocol::AuthPolicy => {
                let body = format!(
                    r#"{{"device_id":"","login":"user{number}@example.test","protocol":"imap","pwhash":"00a0","remote":"{client}","session_id":"iTe3Ds5gBNIKYwAC","tls":false}}"#
                );
                let length = body.len();
                format!(
                    "POST /?command=allow HTTP/1.1\r\nHost: 127.0.0.1:4625\r\nDate: Sat, 21 Nov 2026 19:12:05 GMT\r\n\
                     User-Agent: dovecot/auth-policy-client\r\nConnection: Keep-Alive\r\n\
                     Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                )
            }
            Protocol::PolicyService => format!(
                "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address={client}\n\
                 client_name=unknown\nclient_port=58402\nreverse_client_name=unknown\nserver_address=192.0.2.1\n\
                 server_port=25\nhelo_name=client.example.net\nsender=user{number}@example.test\n\
                 recipient=someone@remote.test\nrecipient_count=0\nqueue_id=\ninstance=5061.6b01ed05.{number:x}.0\n\
                 size=0\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\n\
                 ccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\n\
                 encryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n"
            ),
        }
        .into_bytes()
    }

    /// Reads one answer.
    fn take(self, stream: &mut TcpStream) {
        let mut buffer = [0; 2048];
        let mut length = 0;
        loop {
            let count = stream.read(&mut buffer[length..]).unwrap();
            assert!(count > 0, "the server hung up");
            length += count;
            let answer = &buffer[..length];
            let is_whole = match self {
                Protocol::AuthPolicy => answer.ends_with(b"}"),
                Protocol::PolicyService => answer.ends_with(b"\n\n"),
            };
            if is_whole {
                return;
            }
        }
    }
}

/// So many requests, by all connections together.
pub(crate) fn measure(protocol: Protocol, address: SocketAddr, requests: usize) -> Measured {
    let (start, cpu) = (Instant::now(), cpu_micros(UsageWho::RUSAGE_SELF));
    let talk = move || {
        let micros = converse(protocol, address, requests / THREADS);
        (micros, cpu_micros(UsageWho::RUSAGE_THREAD))
    };
    let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(talk)).collect();
    let (micros, clients): (Vec<_>, Vec<_>) = threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_micros(UsageWho::RUSAGE_SELF) - cpu);
    let mut micros = micros.concat();
    micros.sort_by(f64::total_cmp);
    let at = |share: usize| micros[micros.len() * share / 100];
    let count = micros.len() as f64;
    Measured {
        per_second: count / seconds,
        cpu_micros: cpu / count,
        server_micros: (cpu - clients.iter().sum::<f64>()) / count,
        p50_micros: at(50),
        p99_micros: at(99),
    }
}

/// What this process or thread has used so far.
fn cpu_micros(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    let micros = |time: TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    micros(usage.user_time()) + micros(usage.system_time())
}

fn converse(protocol: Protocol, address: SocketAddr, requests: usize) -> Vec<f64> {
    let texts: Vec<Vec<u8>> = (0..VARIETY).map(|number| protocol.request(number)).collect();
    let connect = |_| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    let mut asked = vec![Instant::now(); CONNECTIONS];
    let mut micros = Vec::with_capacity(requests);
    for (number, text) in texts.iter().cycle().take(requests + CONNECTIONS).enumerate() {
        let place = number % CONNECTIONS;
        if number >= CONNECTIONS {
            protocol.take(&mut streams[place]);
            micros.push(asked[place].elapsed().as_secs_f64() * 1e6);
        }
        if number < requests {
            asked[place] = Instant::now();
            streams[place].write_all(text).unwrap();
        }
    }
    micros
}
