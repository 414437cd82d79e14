//! Servers that always say the same: what is left of ours when nothing is read, asked or bounded.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

pub(crate) fn http(runtime: &Runtime) -> SocketAddr {
    start(runtime, |stream| async {
        let server = http1::Builder::new().max_buf_size(16 * 1024).pipeline_flush(true).clone();
        let _ = server.serve_connection(TokioIo::new(stream), service_fn(always)).await;
    })
}

async fn always(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"status":0}"#)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

pub(crate) fn lines(runtime: &Runtime) -> SocketAddr {
    start(runtime, |mut stream| async move {
        let mut input = Vec::with_capacity(4096);
        while stream.read_buf(&mut input).await.is_ok_and(|count| count > 0) {
            if input.ends_with(b"\n\n") {
                input.clear();
                if stream.write_all(b"action=DUNNO\n\n").await.is_err() {
                    return;
                }
            }
        }
    })
}

fn start<F>(runtime: &Runtime, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
    address
}
