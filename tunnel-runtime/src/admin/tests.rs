use std::{
    io::{Read, Write},
    net::TcpStream,
};

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

struct Running {
    address: SocketAddr,
    readiness: Readiness,
    _handle: AdminHandle,
}

fn running() -> Running {
    let admin = Admin::bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (address, readiness) = (admin.local_addr().unwrap(), Readiness::new());
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || metrics::counter!("sheep_total").increment(3));
    let handle = admin.serve(readiness.clone(), recorder.handle()).unwrap();
    Running { address, readiness, _handle: handle }
}

impl Running {
    // Blocking on purpose: it shows that no runtime of the caller is needed.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(CONNECTION)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn live_answers_without_any_other_runtime() {
    assert!(running().get("/live").starts_with("HTTP/1.1 200"));
}

#[test]
fn ready_says_what_it_waits_for() {
    let running = running();
    let latch = running.readiness.latch("identity");
    let answer = running.get("/ready");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("waiting for identity"), "{answer}");
    latch.release();
    assert!(running.get("/ready").starts_with("HTTP/1.1 200"));
    running.readiness.drain();
    assert!(running.get("/ready").starts_with("HTTP/1.1 503"));
}

#[test]
fn metrics_are_rendered() {
    assert!(running().get("/metrics").contains("sheep_total 3"));
}

#[test]
fn anything_else_is_not_found() {
    assert!(running().get("/").starts_with("HTTP/1.1 404"));
}
