//! Connections.

use std::path::Path;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, Pipeline,
    RedisConnectionInfo, RedisFuture, TlsCertificates, TlsMode, Value,
};

use super::place::{Kind, Place};
use crate::error::FleetError;
use crate::settings::Settings;

/// A server that takes longer is treated as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// The server, not yet connected to.
pub(crate) enum Server {
    One(Box<Client>),
    Cluster(Box<ClusterClient>),
    Sentinel(Box<tokio::sync::Mutex<SentinelClient>>),
}

/// A connection; cloned, it is the same one.
#[derive(Clone)]
pub(crate) enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Server {
    pub(crate) fn new(settings: &Settings) -> Result<Server, FleetError> {
        let mut place = Place::read(&settings.url)?;
        if let Some(path) = &settings.password_file {
            place.password = Some(String::from_utf8_lossy(&read(path)?).trim_end_matches(['\r', '\n']).to_owned());
        }
        let root_cert = settings.authority.as_deref().map(read).transpose()?;
        // Who has chosen another provider before keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = TlsCertificates { client_tls: None, root_cert };
        Ok(match &place.kind {
            Kind::One => Server::One(Box::new(one(&place, certificates)?)),
            Kind::Cluster => Server::Cluster(Box::new(cluster(&place, certificates)?)),
            Kind::Sentinel(name) => {
                Server::Sentinel(Box::new(tokio::sync::Mutex::new(sentinel(&place, name, certificates)?)))
            }
        })
    }

    /// Connects. `patience`: how long an answer may take beyond the usual.
    pub(crate) async fn connect(&self, patience: Duration) -> Result<Link, FleetError> {
        let answer = PATIENCE + patience;
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(answer));
        let connecting = async {
            match self {
                Server::One(client) => {
                    client.get_multiplexed_async_connection_with_config(&config).await.map(Link::One)
                }
                Server::Cluster(client) => {
                    let config = redis::cluster::ClusterConfig::new()
                        .set_connection_timeout(PATIENCE)
                        .set_response_timeout(answer);
                    client.get_async_connection_with_config(config).await.map(Link::Cluster)
                }
                Server::Sentinel(client) => {
                    client.lock().await.get_async_connection_with_config(&config).await.map(Link::One)
                }
            }
        };
        match tokio::time::timeout(PATIENCE * 2, connecting).await {
            Ok(link) => Ok(link?),
            Err(_) => Err(FleetError::Unreachable("it does not answer".to_owned())),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FleetError> {
    std::fs::read(path).map_err(|error| FleetError::File { path: path.to_owned(), error })
}

fn login(place: &Place) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(place.database);
    if let Some(user) = &place.user {
        info = info.set_username(user);
    }
    if let Some(password) = &place.password {
        info = info.set_password(password);
    }
    info
}

fn addresses(place: &Place) -> Vec<ConnectionAddr> {
    let address = |(host, port): &(String, u16)| match (place.unix, place.tls) {
        (true, _) => ConnectionAddr::Unix(host.into()),
        (_, true) => ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
        _ => ConnectionAddr::Tcp(host.clone(), *port),
    };
    place.hosts.iter().map(address).collect()
}

fn infos(place: &Place) -> Result<Vec<ConnectionInfo>, FleetError> {
    let info = |address: ConnectionAddr| Ok(address.into_connection_info()?.set_redis_settings(login(place)));
    addresses(place).into_iter().map(info).collect()
}

fn one(place: &Place, certificates: TlsCertificates) -> Result<Client, FleetError> {
    let info = infos(place)?.swap_remove(0);
    Ok(if place.tls { Client::build_with_tls(info, certificates)? } else { Client::open(info)? })
}

fn cluster(place: &Place, certificates: TlsCertificates) -> Result<ClusterClient, FleetError> {
    let mut builder = ClusterClient::builder(infos(place)?).retries(3);
    if place.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    Ok(builder.build()?)
}

fn sentinel(place: &Place, name: &str, certificates: TlsCertificates) -> Result<SentinelClient, FleetError> {
    let mut builder = SentinelClientBuilder::new(addresses(place), name, SentinelServerType::Master)?
        .set_client_to_redis_db(place.database);
    if let Some(user) = &place.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &place.password {
        builder = builder.set_client_to_redis_password(password);
    }
    if place.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    Ok(builder.build()?)
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Link::One(link) => link.req_packed_command(cmd),
            Link::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Link::One(link) => link.req_packed_commands(pipeline, offset, count),
            Link::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Link::One(link) => link.get_db(),
            Link::Cluster(link) => link.get_db(),
        }
    }
}
