//! The manifests under `deploy/kubernetes`: what a cluster would refuse, what a hardened one asks for, and what this connector needs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{is_read, text, yaml};

const DEPLOYMENT: &str = "deploy/kubernetes/deployment.yaml";
const SECRET: &str = "deploy/kubernetes/secret.yaml";
const STATE: &str = "deploy/kubernetes/state.yaml";
const KUSTOMIZATION: &str = "deploy/kubernetes/kustomization.yaml";

/// The id of the user `nonroot` of the image.
const NONROOT: u64 = 65_532;

fn pod() -> Value {
    yaml(DEPLOYMENT)["spec"]["template"]["spec"].clone()
}

fn container() -> Value {
    let containers = pod()["containers"].clone();
    assert_eq!(containers.as_array().unwrap().len(), 1);
    containers[0].clone()
}

/// The value of a variable that the container gets by name.
fn variable(name: &str) -> Value {
    let all = container()["env"].clone();
    let mut found = all.as_array().unwrap().iter().filter(|one| one["name"] == name);
    let one = found.next().unwrap_or_else(|| panic!("{name} is not set"));
    assert!(found.next().is_none(), "{name} is set twice");
    one["value"].clone()
}

fn names(list: &Value) -> BTreeSet<String> {
    let names = list.as_array().unwrap().iter();
    names
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Calls `visit` with every map below `value` that must be a map of strings.
fn string_maps(value: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if ["labels", "annotations", "stringData", "data", "matchLabels"].contains(&name.as_str()) {
                    visit(name, field);
                }
                string_maps(field, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| string_maps(item, visit)),
        _ => {}
    }
}

#[test]
fn every_value_that_must_be_a_string_is_one() {
    for file in [DEPLOYMENT, SECRET, STATE] {
        let mut maps = 0;
        string_maps(&yaml(file), &mut |map, fields| {
            maps += 1;
            for (name, value) in fields.as_object().unwrap() {
                assert!(
                    value.is_string(),
                    "{file}: {map}: {name} is not in quotes: {value}"
                );
            }
        });
        assert!(maps > 0, "{file}");
    }
    for one in container()["env"].as_array().unwrap() {
        assert!(one["value"].is_string(), "{one} is not in quotes");
    }
}

#[test]
fn every_setting_that_is_named_works() {
    let secret = yaml(SECRET);
    let secret = secret["stringData"].as_object().unwrap().keys().cloned();
    let named = names(&container()["env"]);
    for name in secret.clone().chain(named.clone()) {
        assert!(is_read(&name), "{name}");
    }
    assert!(
        secret.clone().all(|name| !named.contains(&name)),
        "one place for each"
    );
    let needed = [
        "BATON_CLIENT_ID",
        "BATON_CLIENT_SECRET",
        "BATON_COUPA_CLIENT_ID",
        "BATON_COUPA_CLIENT_SECRET",
        "BATON_COUPA_DOMAIN",
    ];
    let given: BTreeSet<_> = secret.collect();
    assert!(needed.iter().all(|name| given.contains(*name)), "{given:?}");
}

#[test]
fn changes_are_made_only_where_an_operator_says_so() {
    assert_eq!(yaml(SECRET)["stringData"]["BATON_PROVISIONING"], "false");
    assert!(!text(DEPLOYMENT).contains("BATON_PROVISIONING"));
}

#[test]
fn the_parts_belong_together() {
    let (deployment, pod, container) = (yaml(DEPLOYMENT), pod(), container());
    let secret = yaml(SECRET)["metadata"]["name"].clone();
    assert_eq!(container["envFrom"], json!([{"secretRef": {"name": secret}}]));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (name, value) in deployment["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&labels[name], value);
    }
    // As the ecosystem labels its connectors.
    assert_eq!(
        *labels,
        json!({"app": "baton-coupa", "baton": "true", "baton-app": "coupa"})
    );
    assert_eq!(variable("BATON_HOST_ID"), "baton-coupa");

    let volumes = pod["volumes"].clone();
    assert_eq!(names(&volumes), names(&container["volumeMounts"]));
    let volume = |name: &str| {
        let volumes = volumes.as_array().unwrap();
        volumes
            .iter()
            .find(|volume| volume["name"] == name)
            .unwrap()
            .clone()
    };
    let mounted = |path: &Value| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["mountPath"] == *path).unwrap();
        assert!(mount.get("readOnly").is_none());
        volume(mount["name"].as_str().unwrap())
    };
    let claim = &mounted(&variable("BATON_STATE_DIR"))["persistentVolumeClaim"]["claimName"];
    assert_eq!(*claim, yaml(STATE)["metadata"]["name"], "state outlives the pod");
    assert!(mounted(&variable("BATON_TMPDIR"))["emptyDir"].is_object());
    assert_eq!(yaml(STATE)["spec"]["accessModes"], json!(["ReadWriteOnce"]));

    let kustomization = yaml(KUSTOMIZATION);
    assert_eq!(
        kustomization["resources"],
        json!(["secret.yaml", "state.yaml", "deployment.yaml"])
    );
    let image = container["image"].as_str().unwrap();
    let (name, tag) = image.rsplit_once(':').unwrap();
    assert_eq!(
        tag,
        env!("CARGO_PKG_VERSION"),
        "a version, and not whatever is latest"
    );
    assert_eq!(kustomization["images"], json!([{"name": name, "newTag": tag}]));
}

#[test]
fn one_at_a_time() {
    let spec = yaml(DEPLOYMENT)["spec"].clone();
    assert_eq!(spec["replicas"], 1);
    assert_eq!(
        spec["strategy"],
        json!({"type": "Recreate"}),
        "an update does not overlap"
    );
}

#[test]
fn a_hardened_cluster_takes_it() {
    let (pod, container) = (pod(), container());
    assert_eq!(
        pod["securityContext"],
        json!({
            "runAsNonRoot": true,
            "runAsUser": NONROOT,
            "runAsGroup": NONROOT,
            "fsGroup": NONROOT,
            // Otherwise every restart would open the journal to a group, and the connector would refuse it.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(
        container["securityContext"],
        json!({
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false, "no service becomes a setting");
    for kind in ["requests", "limits"] {
        assert!(container["resources"][kind]["memory"].is_string(), "{kind}");
    }
    assert!(
        container["resources"]["limits"].get("cpu").is_none(),
        "a heartbeat must not be throttled"
    );
}

#[test]
fn probes_ask_the_program_itself() {
    let container = container();
    assert_eq!(variable("BATON_HEALTH_CHECK"), "true");
    for (probe, endpoint) in [
        ("startupProbe", "live"),
        ("livenessProbe", "live"),
        ("readinessProbe", "ready"),
    ] {
        let probe = &container[probe];
        let endpoint = format!("--endpoint={endpoint}");
        // There is no shell, and no port is open to the cluster.
        assert_eq!(
            probe["exec"]["command"],
            json!(["/baton-coupa", "health-check", endpoint])
        );
        assert!(
            probe["timeoutSeconds"].as_u64().unwrap() > 5,
            "the command gives up by itself after 5 s"
        );
    }
    assert!(container.get("ports").is_none());
    let startup = &container["startupProbe"];
    let patience = startup["periodSeconds"].as_u64().unwrap() * startup["failureThreshold"].as_u64().unwrap();
    assert!(
        patience >= 900,
        "the hello is repeated with waits of up to 5 minutes"
    );
    let grace = pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > 30, "what runs has 30 s to be reported");
}
