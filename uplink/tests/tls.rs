//! TLS with a real broker and certificates made on the spot: the right one works, every wrong one says what is wrong.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[allow(unreachable_pub, dead_code, reason = "a part of this test")]
mod mosquitto;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mosquitto::{LIMIT, Mosquitto, installed};
use tokio::time::timeout;
use uplink::mqtt::{Answer, Link, LinkError, Message, Protocol, Publisher, UrlError};
use uplink::refusal::Failure;
use uplink::tls::{TlsError, TlsFiles};

fn openssl(dir: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(dir).args(arguments.split_whitespace()).stdout(Stdio::null());
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two authorities, and certificates for a broker and a vehicle.
fn certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for ca in ["ca", "other-ca"] {
        openssl(dir, &format!("req -x509 {key} -keyout {ca}.key -out {ca}.crt -days 2 -subj /CN={ca}"));
    }
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    std::fs::write(dir.join("foreign"), "subjectAltName=DNS:elsewhere.example\n").unwrap();
    std::fs::write(dir.join("none"), "basicConstraints=CA:FALSE\n").unwrap();
    let sign = |name: &str, ca: &str, extensions: &str, days: &str| {
        openssl(dir, &format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -out {name}.crt \
                 {days} -extfile {extensions}"
            ),
        );
        std::fs::set_permissions(dir.join(format!("{name}.key")), PermissionsExt::from_mode(0o600)).unwrap();
    };
    sign("broker", "ca", "names", "-days 2");
    sign("foreign-broker", "ca", "foreign", "-days 2");
    sign("car", "ca", "none", "-days 2");
    sign("stranger", "other-ca", "none", "-days 2");
    expired(dir, "expired-broker", "names");
    expired(dir, "expired-car", "none");
}

/// A certificate of the past; only `openssl ca` sets both dates.
fn expired(dir: &Path, name: &str, extensions: &str) {
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial.txt\nnew_certs_dir=.\n\
                  default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n";
    std::fs::write(dir.join("ca.cnf"), config).unwrap();
    if !dir.join("index.txt").exists() {
        std::fs::write(dir.join("index.txt"), "").unwrap();
        std::fs::write(dir.join("serial.txt"), "1000\n").unwrap();
    }
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(dir, &format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    openssl(
        dir,
        &format!(
            "ca -batch -config ca.cnf -in {name}.csr -cert ca.crt -keyfile ca.key -out {name}.crt \
             -startdate 20200101000000Z -enddate 20200201000000Z -extfile {extensions} -notext"
        ),
    );
    std::fs::set_permissions(dir.join(format!("{name}.key")), PermissionsExt::from_mode(0o600)).unwrap();
}

async fn broker(certificate: &str, asks_for_client: bool) -> Mosquitto {
    let lines = format!(
        "allow_anonymous true\ncafile DIR/ca.crt\ncertfile DIR/{certificate}.crt\nkeyfile DIR/{certificate}.key\n\
         require_certificate {asks_for_client}"
    );
    Mosquitto::start(&lines, certificates).await
}

struct Case<'a> {
    host: &'a str,
    ca: &'a str,
    client: Option<&'a str>,
    server_name: Option<&'a str>,
    protocol: Protocol,
}

const RIGHT: Case<'_> =
    Case { host: "localhost", ca: "ca", client: Some("car"), server_name: None, protocol: Protocol::V5 };

/// Connects and publishes; the error, if it comes to one.
async fn attempt(broker: &Mosquitto, case: &Case<'_>) -> Result<(), LinkError> {
    let file = |name: &str, kind: &str| broker.dir.join(format!("{name}.{kind}"));
    let files = TlsFiles {
        ca: file(case.ca, "crt"),
        client: case.client.map(|name| (file(name, "crt"), file(name, "key"))),
        server_name: case.server_name.map(str::to_owned),
    };
    let url = format!("mqtts://{}:{}", case.host, broker.port);
    let mut link = Link::parse_secure(&url, "car", files.load().unwrap()).unwrap();
    link.protocol = case.protocol;
    let mut publisher: Publisher<u32> = Publisher::connect(&link, 1);
    let connected = timeout(LIMIT, publisher.next_answer()).await.unwrap()?;
    assert!(matches!(connected, Answer::Connected { .. }));
    let payload = vec![7; 100_000].into();
    let message = Message { topic: "t", retain: true, expiry: None, alias: false, payload };
    publisher.send(message, 1).unwrap();
    let answer = timeout(LIMIT, publisher.next_answer()).await.unwrap()?;
    assert!(matches!(answer, Answer::Acked(1) | Answer::Refused { token: 1, .. }), "{answer:?}");
    Ok(())
}

async fn fails(broker: &Mosquitto, case: Case<'_>, words: &[&str]) {
    let error = attempt(broker, &case).await.unwrap_err();
    println!("{error}");
    let text = error.to_string();
    assert!(words.iter().any(|word| text.contains(word)), "{text}");
    assert_eq!(error.failure(), Failure::Lasting, "{text}");
}

#[tokio::test]
async fn the_right_certificates_work_and_wrong_ones_say_why() {
    if !installed() {
        return;
    }
    let asking = broker("broker", true).await;
    attempt(&asking, &RIGHT).await.unwrap();
    attempt(&asking, &Case { host: "127.0.0.1", protocol: Protocol::V311, ..RIGHT }).await.unwrap();
    fails(&asking, Case { ca: "other-ca", ..RIGHT }, &["authority that ca_file does not have"]).await;
    fails(&asking, Case { client: None, ..RIGHT }, &["asks for a client certificate", "or asks for one"])
        .await;
    fails(&asking, Case { client: Some("stranger"), ..RIGHT }, &["authority of our", "accept our"]).await;
    fails(&asking, Case { client: Some("expired-car"), ..RIGHT }, &["our certificate"]).await;
    fails(&asking, Case { server_name: Some("elsewhere.example"), ..RIGHT }, &["for another name"]).await;

    let foreign = broker("foreign-broker", false).await;
    let anonymous = Case { client: None, ..RIGHT };
    fails(&foreign, Case { client: None, ..RIGHT }, &["for another name"]).await;
    attempt(&foreign, &Case { server_name: Some("elsewhere.example"), ..anonymous }).await.unwrap();

    let expired = broker("expired-broker", false).await;
    fails(&expired, Case { client: None, ..RIGHT }, &["has expired"]).await;
}

#[test]
fn files_are_checked_by_name_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    certificates(dir.path());
    let files = |ca: &str, cert: &str, key: &str| TlsFiles {
        ca: path(ca),
        client: Some((path(cert), path(key))),
        server_name: None,
    };
    assert!(files("ca.crt", "car.crt", "car.key").load().is_ok());
    std::fs::write(path("huge"), vec![b'x'; (1 << 20) + 1]).unwrap();
    std::fs::write(path("text"), "no certificate").unwrap();
    std::fs::set_permissions(path("text"), PermissionsExt::from_mode(0o600)).unwrap();
    let cases = [
        (files("absent", "car.crt", "car.key"), "absent"),
        (files("text", "car.crt", "car.key"), "no PEM certificate"),
        (files("huge", "car.crt", "car.key"), "larger than"),
        (files("ca.crt", "car.key", "car.key"), "no PEM certificate"),
        (files("ca.crt", "car.crt", "text"), "no PEM private key"),
        (files("ca.crt", "car.crt", "stranger.key"), "do not go together"),
        (TlsFiles { server_name: Some("a b".into()), ..files("ca.crt", "car.crt", "car.key") }, "not a name"),
    ];
    for (files, words) in cases {
        let error = files.load().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    for mode in [0o644, 0o640, 0o604, 0o620, 0o666] {
        std::fs::set_permissions(path("car.key"), PermissionsExt::from_mode(mode)).unwrap();
        let error = files("ca.crt", "car.crt", "car.key").load().unwrap_err();
        assert!(matches!(error, TlsError::KeyOpen { mode: found, .. } if found == mode), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    std::fs::set_permissions(path("car.key"), PermissionsExt::from_mode(0o400)).unwrap();
    let tls = files("ca.crt", "car.crt", "car.key").load().unwrap();
    assert!(!format!("{tls:?}").contains("key"), "{tls:?}");
    assert_eq!(
        Link::parse_secure("mqtt://x", "id", tls.clone()).unwrap_err(),
        UrlError::Plain("mqtt://x".into())
    );
    assert_eq!(Link::parse_secure("mqtts://x", "id", tls).unwrap().broker(), "x:8883");
}
