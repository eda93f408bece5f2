//! What the program prints about itself: PC-17 to PC-20.
//!
//! The texts are read by a protojson parser that shares nothing with what wrote them but the description of the messages. The twins of the
//! program are its own texts, spoiled in one place each.

use std::collections::BTreeSet;

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::account_manager_service_client::AccountManagerServiceClient;
use baton_coupa::proto::connector::action_service_client::ActionServiceClient;
use baton_coupa::proto::connector::event_service_client::EventServiceClient;
use baton_coupa::proto::connector::grant_manager_service_client::GrantManagerServiceClient;
use baton_coupa::proto::connector::resource_deleter_service_client::ResourceDeleterServiceClient;
use baton_coupa::proto::{DESCRIPTORS, config};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Status};

use super::{SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{Resources, Types};
use crate::support::program::{output, program};

/// What the server behind the program offers.
struct Offered {
    types: Vec<c1::ResourceType>,
    /// Of the capabilities that PC-18 names, those whose call is there.
    works: BTreeSet<c1::Capability>,
}

/// The capabilities that stand for calls.
const OF_CALLS: [c1::Capability; 6] = [
    c1::Capability::Provision,
    c1::Capability::AccountProvisioning,
    c1::Capability::ResourceDelete,
    c1::Capability::Actions,
    c1::Capability::EventFeedV2,
    c1::Capability::TargetedSync,
];

fn is_there<T>(outcome: &Result<T, Status>) -> bool {
    outcome
        .as_ref()
        .err()
        .is_none_or(|status| status.code() != Code::Unimplemented)
}

/// Asks the real server, which makes changes.
async fn offered() -> Offered {
    let server = Subject::Real.start(Upstream::Writable).await;
    let client = server.client();
    let channel = || client.channel.clone();
    let types = client.all(&Types, SYNC).await.unwrap();
    let user = client
        .all(&Resources::of("user"), SYNC)
        .await
        .unwrap()
        .swap_remove(0);
    let grant = GrantManagerServiceClient::new(channel())
        .grant(c1::GrantManagerServiceGrantRequest::default())
        .await;
    let account = AccountManagerServiceClient::new(channel())
        .create_account(c1::CreateAccountRequest::default())
        .await;
    let delete = ResourceDeleterServiceClient::new(channel())
        .delete_resource_v2(c1::DeleteResourceV2Request {
            resource_id: user.id.clone(),
            ..Default::default()
        })
        .await;
    let actions = ActionServiceClient::new(channel())
        .list_action_schemas(c1::ListActionSchemasRequest::default())
        .await;
    let feeds = EventServiceClient::new(channel())
        .list_event_feeds(c1::ListEventFeedsRequest::default())
        .await;
    let one = client.resource(user.id.unwrap()).await;
    let works = [
        (c1::Capability::Provision, is_there(&grant)),
        (c1::Capability::AccountProvisioning, is_there(&account)),
        (c1::Capability::ResourceDelete, is_there(&delete)),
        (
            c1::Capability::Actions,
            actions.is_ok_and(|answer| !answer.get_ref().schemas.is_empty()),
        ),
        (
            c1::Capability::EventFeedV2,
            feeds.is_ok_and(|answer| !answer.get_ref().list.is_empty()),
        ),
        (c1::Capability::TargetedSync, is_there(&one)),
    ];
    Offered {
        types,
        works: works
            .into_iter()
            .filter_map(|(capability, works)| works.then_some(capability))
            .collect(),
    }
}

async fn printed(command: &str) -> String {
    let folder = TempDir::new().unwrap();
    let mut program = program(&folder);
    program.arg(command);
    let output = output(program).await;
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The message that `text` is protojson of.
fn parse<M: Message + Name + Default>(message: &str, text: &str) -> Result<M, Violation> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let descriptor = pool.get_message_by_name(message).unwrap();
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = DynamicMessage::deserialize(descriptor, &mut json)
        .map_err(|error| format!("not protojson of {message}: {error}"))?;
    json.end()
        .map_err(|error| format!("something after the message: {error}"))?;
    let bytes = parsed.encode_to_vec();
    let bytes = if message == "google.protobuf.Any" {
        let any = prost_types::Any::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
        ensure(any.type_url == M::type_url(), || {
            format!("an Any of {:?}", any.type_url)
        })?;
        any.value
    } else {
        bytes
    };
    M::decode(bytes.as_slice()).map_err(|error| error.to_string().into())
}

fn capabilities(text: &str) -> Result<c1::ConnectorCapabilities, Violation> {
    parse("google.protobuf.Any", text)
}

fn pc_17(text: &str, offered: &Offered) -> Verdict {
    let rows = capabilities(text)?.resource_type_capabilities;
    let told: Vec<c1::ResourceType> = rows.into_iter().filter_map(|row| row.resource_type).collect();
    ensure(told.is_sorted_by(|a, b| a.id < b.id), || {
        "resource types are not sorted by id".to_owned()
    })?;
    ensure(
        told.len() == offered.types.len() && told.iter().all(|kind| offered.types.contains(kind)),
        || "resource types differ from those that are listed".to_owned(),
    )
}

fn pc_18(text: &str, offered: &Offered) -> Verdict {
    let told = capabilities(text)?.connector_capabilities;
    ensure(told.is_sorted_by(|a, b| a < b), || {
        "connector capabilities are not sorted by number".to_owned()
    })?;
    let has = |capability: c1::Capability| told.contains(&capability.into());
    ensure(has(c1::Capability::Sync), || "SYNC is missing".to_owned())?;
    for capability in OF_CALLS {
        ensure(has(capability) == offered.works.contains(&capability), || {
            format!("{} and its call differ", capability.as_str_name())
        })?;
    }
    Ok(())
}

fn pc_19(text: &str, _: &Offered) -> Verdict {
    let Some(details) = capabilities(text)?.credential_details else {
        return Ok(());
    };
    let Some(accounts) = details.capability_account_provisioning else {
        return Ok(());
    };
    let preferred = accounts.preferred_credential_option;
    ensure(preferred != 0, || "no preferred credential option".to_owned())?;
    ensure(accounts.supported_credential_options.contains(&preferred), || {
        "the preferred credential option is not supported".to_owned()
    })
}

/// Words in names of settings that hold something secret. A mail server's address holds its password.
const SECRET: [&str; 4] = ["secret", "password", "token", "smtp-url"];

fn pc_20(text: &str, _: &Offered) -> Verdict {
    let schema: config::Configuration = parse("c1.config.v1.Configuration", text)?;
    ensure(
        !schema.fields.is_empty() && !schema.display_name.is_empty(),
        || "an empty configuration".to_owned(),
    )?;
    for field in &schema.fields {
        let secret = SECRET.iter().any(|word| field.name.contains(word));
        ensure(field.is_secret == secret, || {
            format!("isSecret of {:?} is {}", field.name, field.is_secret)
        })?;
        ensure(field.field.is_some(), || format!("{:?} has no type", field.name))?;
    }
    let names: BTreeSet<&String> = schema.fields.iter().map(|field| &field.name).collect();
    ensure(names.len() == schema.fields.len(), || {
        "a field comes twice".to_owned()
    })
}

type Spoil = fn(&mut Value);

/// Runs a check over the text that the program prints, and over that text with one thing spoiled at a time.
async fn judge(check: fn(&str, &Offered) -> Verdict, command: &str, spoils: &[(&str, Spoil)]) {
    let (text, offered) = (printed(command).await, offered().await);
    check(&text, &offered).expect("the program");
    for (words, spoil) in spoils {
        let mut json: Value = serde_json::from_str(&text).unwrap();
        spoil(&mut json);
        let Err(Violation(found)) = check(&json.to_string(), &offered) else {
            panic!("a text passed that should fail with {words:?}");
        };
        assert!(
            found.contains(words),
            "{words:?}: rejected for another reason: {found}"
        );
    }
    let Err(Violation(found)) = check(&(text + "}"), &offered) else {
        panic!("a text with something after it passed");
    };
    assert!(found.contains("something after"), "{found}");
}

fn rows<'a>(json: &'a mut Value, key: &str) -> &'a mut Vec<Value> {
    json[key].as_array_mut().unwrap()
}

fn members(json: &mut Value) -> &mut serde_json::Map<String, Value> {
    json.as_object_mut().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pc_17_capabilities_tell_the_types_that_are_listed() {
    let spoils: &[(&str, Spoil)] = &[
        ("not protojson", |json| {
            members(json).remove("@type");
        }),
        ("not protojson", |json| {
            members(json).insert("inventions".to_owned(), json!([]));
        }),
        ("not protojson", |json| {
            rows(json, "connectorCapabilities").push(json!("CAPABILITY_TO_FLY"));
        }),
        ("an Any of", |json| {
            *json = json!({"@type": "type.googleapis.com/c1.connector.v2.ConnectorMetadata"});
        }),
        ("not sorted by id", |json| {
            rows(json, "resourceTypeCapabilities").reverse();
        }),
        ("differ from those", |json| {
            rows(json, "resourceTypeCapabilities").pop();
        }),
        ("differ from those", |json| {
            let more = json!({"resourceType": {"id": "zeppelin"}});
            rows(json, "resourceTypeCapabilities").push(more);
        }),
        ("differ from those", |json| {
            rows(json, "resourceTypeCapabilities")[0]["resourceType"]["displayName"] = json!("Else");
        }),
    ];
    judge(pc_17, "capabilities", spoils).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pc_18_capabilities_tell_the_calls_that_work() {
    fn without(json: &mut Value, name: &str) {
        rows(json, "connectorCapabilities").retain(|known| known != name);
    }
    let spoils: &[(&str, Spoil)] = &[
        ("not sorted by number", |json| {
            rows(json, "connectorCapabilities").reverse();
        }),
        ("not sorted by number", |json| {
            let first = rows(json, "connectorCapabilities")[0].clone();
            rows(json, "connectorCapabilities").insert(0, first);
        }),
        ("SYNC is missing", |json| without(json, "CAPABILITY_SYNC")),
        ("CAPABILITY_PROVISION and", |json| {
            without(json, "CAPABILITY_PROVISION");
        }),
        ("CAPABILITY_ACCOUNT_PROVISIONING and", |json| {
            without(json, "CAPABILITY_ACCOUNT_PROVISIONING");
        }),
        ("CAPABILITY_RESOURCE_DELETE and", |json| {
            without(json, "CAPABILITY_RESOURCE_DELETE");
        }),
        ("CAPABILITY_ACTIONS and", |json| {
            without(json, "CAPABILITY_ACTIONS");
        }),
        ("CAPABILITY_TARGETED_SYNC and", |json| {
            without(json, "CAPABILITY_TARGETED_SYNC");
        }),
        ("CAPABILITY_EVENT_FEED_V2 and", |json| {
            let told = rows(json, "connectorCapabilities");
            told.push(json!("CAPABILITY_EVENT_FEED_V2"));
            let number = |name: &Value| c1::Capability::from_str_name(name.as_str().unwrap());
            told.sort_by_key(number);
        }),
    ];
    judge(pc_18, "capabilities", spoils).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pc_19_a_preferred_credential_option_is_a_supported_one() {
    fn accounts(json: &mut Value) -> &mut Value {
        &mut json["credentialDetails"]["capabilityAccountProvisioning"]
    }
    let spoils: &[(&str, Spoil)] = &[
        ("no preferred", |json| {
            members(accounts(json)).remove("preferredCredentialOption");
        }),
        ("is not supported", |json| {
            accounts(json)["preferredCredentialOption"] =
                json!("CAPABILITY_DETAIL_CREDENTIAL_OPTION_ENCRYPTED_PASSWORD");
        }),
        ("is not supported", |json| {
            members(accounts(json)).remove("supportedCredentialOptions");
        }),
    ];
    judge(pc_19, "capabilities", spoils).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pc_20_the_configuration_is_protojson_that_marks_secrets() {
    fn field<'a>(json: &'a mut Value, name: &str) -> &'a mut Value {
        let fields = rows(json, "fields");
        fields.iter_mut().find(|field| field["name"] == name).unwrap()
    }
    let spoils: &[(&str, Spoil)] = &[
        ("not protojson", |json| {
            field(json, "log-level")["isOptional"] = json!(true);
        }),
        ("not protojson", |json| {
            field(json, "http-timeout-seconds")["intField"]["defaultValue"] = json!("soon");
        }),
        ("isSecret of \"coupa-client-secret\"", |json| {
            members(field(json, "coupa-client-secret")).remove("isSecret");
        }),
        ("isSecret of \"smtp-url\"", |json| {
            field(json, "smtp-url")["isSecret"] = json!(false);
        }),
        ("isSecret of \"coupa-domain\"", |json| {
            field(json, "coupa-domain")["isSecret"] = json!(true);
        }),
        ("has no type", |json| {
            members(field(json, "log-level")).remove("stringField");
        }),
        ("comes twice", |json| {
            let first = rows(json, "fields")[0].clone();
            rows(json, "fields").push(first);
        }),
        ("an empty configuration", |json| *json = json!({})),
    ];
    judge(pc_20, "config", spoils).await;
}
