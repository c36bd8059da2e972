//! Slack's clients with the shipped list active: spliced, on port 443, the origin's own certificate. That they
//! are live when bumped is in `peers`.

use crate::harness::certs::{ROOT_NAME, certs};
use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::proxy::Setup;
use crate::harness::root;
use serde_json::Value;

/// Ten events over a spliced WebSocket. The API is asked over plain HTTP, so that the client needs to trust
/// only the origin's root: with the proxy's certificate in the way it could not connect.
fn spliced(client: Client) -> Value {
    let (origin, api) = origins::slack("wss-primary.slack.com", 443);
    let list = root().join("config/wslist");
    let list = list.to_str().unwrap();
    let proxy = Setup::new()
        .host("wss-primary.slack.com:443", &format!("127.0.0.1:{}", origin.port))
        .config(&format!(
            "list = [{{ name = 'wslist', file = '{list}', format = 'url_regex', ignore_case = true }}]\n\
             policy = {{ splice = ['wslist'] }}"
        ))
        .start();
    let found = client
        .with("ca", &certs().root)
        .with("proxy", proxy.url())
        .with("api", format!("http://slack.test:{api}/api/"))
        .run();
    assert_eq!(found["texts"].as_array().unwrap().len(), 10, "{found}");
    let line = proxy.log("connection", |line| line["target"] == "wss-primary.slack.com:443");
    assert_eq!(
        (line["action"].as_str(), line["reason"].as_str()),
        (Some("splice"), Some("list_connect")),
        "{line}"
    );
    assert_eq!(line["list"], "wslist", "{line}");
    let text = std::fs::read_to_string(list).unwrap();
    let number = usize::try_from(line["line"].as_u64().unwrap()).unwrap();
    assert_eq!(
        text.lines().nth(number - 1).map(str::trim),
        line["pattern"].as_str(),
        "{line}"
    );
    for way in ["bytes_to_origin", "bytes_to_client"] {
        assert!(line[way].as_u64().unwrap() > 500, "{line}");
    }
    assert!(
        proxy.log_so_far("websocket").is_empty(),
        "a spliced WebSocket must not have been read"
    );
    found
}

#[test]
fn slack_sdk_spliced_by_the_shipped_list() {
    let found = spliced(Client::new("client_slack.py"));
    assert_eq!(found["issuers"], serde_json::json!([ROOT_NAME]));
}

#[test]
fn slack_sdks_own_websocket_spliced_by_the_shipped_list() {
    let found = spliced(Client::new("client_slack.py").with("variant", "builtin"));
    assert_eq!(found["issuers"], serde_json::json!([ROOT_NAME]));
}

#[test]
fn slack_for_node_spliced_by_the_shipped_list() {
    spliced(Client::new("client_slack.mjs"));
}
