//! What the platform demands of every message, as pure functions: the rules of the protocol's tables, and what it is known to refuse beyond
//! them.
//!
//! Invariant: each function tells every violation, not the first.

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::platform as wire;
use prost_types::Any;
use wire::baton_service_finish_task_request::FinalState;
use wire::baton_service_upload_asset_request::{Msg, UploadMetadata};

/// What the last line of the message of an error says that is not to be tried again.
const NO_RETRY: &str = "\ntask failed and is non-retryable";
/// Most annotations of a message.
const ANNOTATIONS: usize = 16;
/// Most bytes in one message of an upload.
const CHUNK: usize = 1 << 20;

/// Violations found in one message.
pub struct Findings {
    what: &'static str,
    found: Vec<String>,
}

impl Findings {
    pub fn of(what: &'static str) -> Self {
        Self {
            what,
            found: Vec::new(),
        }
    }

    pub fn demand(&mut self, holds: bool, said: impl FnOnce() -> String) {
        if !holds {
            self.found.push(format!("{}: {}", self.what, said()));
        }
    }

    pub fn into_vec(self) -> Vec<String> {
        self.found
    }

    fn host(&mut self, given: &str, expected: &str) {
        self.demand((1..=256).contains(&given.chars().count()), || {
            "host_id has no fit length".to_owned()
        });
        self.demand(given == expected, || {
            format!("host_id is {given:?}, not {expected:?}")
        });
    }

    fn task(&mut self, id: &str) {
        self.demand(is_task_id(id), || format!("task_id {id:?}"));
    }

    fn annotations(&mut self, annotations: &[Any]) {
        self.demand(annotations.len() <= ANNOTATIONS, || {
            format!("{} annotations", annotations.len())
        });
        let typed = |any: &Any| any.type_url.starts_with("type.googleapis.com/");
        self.demand(annotations.iter().all(typed), || {
            "an annotation without a type".to_owned()
        });
    }

    fn short(&mut self, name: &str, text: &str) {
        self.demand(!text.is_empty(), || format!("{name} is empty"));
        self.demand(text.chars().count() <= 256, || format!("{name} is too long"));
    }
}

/// `^[a-zA-Z0-9]{27}$`
pub fn is_task_id(id: &str) -> bool {
    id.len() == 27 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub fn hello(request: &wire::BatonServiceHelloRequest, host: &str) -> Vec<String> {
    let mut findings = Findings::of("Hello");
    findings.host(&request.host_id, host);
    findings.demand(request.task_id.is_empty() || is_task_id(&request.task_id), || {
        format!("task_id {:?}", request.task_id)
    });
    findings.annotations(&request.annotations);
    match &request.build_info {
        None => findings.demand(false, || "no build_info".to_owned()),
        Some(build) => {
            findings.short("lang_version", &build.lang_version);
            findings.short("package", &build.package);
            findings.short("package_version", &build.package_version);
        }
    }
    match &request.os_info {
        None => findings.demand(false, || "no os_info".to_owned()),
        // The platform refuses a registration with an empty text here.
        Some(os) => {
            for (name, text) in [
                ("hostname", &os.hostname),
                ("os", &os.os),
                ("platform", &os.platform),
                ("platform_version", &os.platform_version),
                ("platform_family", &os.platform_family),
                ("kernel_version", &os.kernel_version),
                ("kernel_arch", &os.kernel_arch),
                ("virtualization_system", &os.virtualization_system),
            ] {
                findings.short(name, text);
            }
        }
    }
    match &request.connector_metadata {
        None => findings.demand(false, || "no connector_metadata".to_owned()),
        Some(about) => metadata(about, &mut findings),
    }
    findings.into_vec()
}

fn metadata(about: &c1::ConnectorMetadata, findings: &mut Findings) {
    findings.demand((1..=1024).contains(&about.display_name.len()), || {
        "metadata: display_name has no fit length".to_owned()
    });
    let url = about.help_url.as_str();
    findings.demand(
        url.is_empty() || (url.starts_with("https://") && url.len() <= 1024),
        || "metadata: help_url is no https address".to_owned(),
    );
    findings.demand(about.description.len() <= 4096, || {
        "metadata: description is too long".to_owned()
    });
    let Some(capabilities) = &about.capabilities else {
        return findings.demand(false, || "metadata: no capabilities".to_owned());
    };
    findings.demand(!capabilities.resource_type_capabilities.is_empty(), || {
        "metadata: no resource type".to_owned()
    });
    for row in &capabilities.resource_type_capabilities {
        let named = row
            .resource_type
            .as_ref()
            .is_some_and(|kind| (1..=1024).contains(&kind.id.len()));
        findings.demand(named, || "metadata: a resource type without an id".to_owned());
    }
}

pub fn get_task(request: &wire::BatonServiceGetTaskRequest, host: &str) -> Vec<String> {
    let mut findings = Findings::of("GetTask");
    findings.host(&request.host_id, host);
    findings.into_vec()
}

pub fn get_tasks(request: &wire::BatonServiceGetTasksRequest, host: &str) -> Vec<String> {
    let mut findings = Findings::of("GetTasks");
    findings.host(&request.host_id, host);
    findings.demand((1..=100).contains(&request.page_size), || {
        format!("page_size {}", request.page_size)
    });
    findings.demand(request.known_task_ids.iter().all(|id| is_task_id(id)), || {
        "a known id".to_owned()
    });
    findings.annotations(&request.annotations);
    findings.into_vec()
}

pub fn heartbeat(request: &wire::BatonServiceHeartbeatRequest, host: &str) -> Vec<String> {
    let mut findings = Findings::of("Heartbeat");
    findings.host(&request.host_id, host);
    findings.task(&request.task_id);
    findings.annotations(&request.annotations);
    findings.demand(request.task_ids.is_empty(), || {
        "the batch path is not for this program".to_owned()
    });
    findings.into_vec()
}

pub fn upload_metadata(request: &UploadMetadata, host: &str) -> Vec<String> {
    let mut findings = Findings::of("UploadAsset");
    findings.host(&request.host_id, host);
    findings.task(&request.task_id);
    findings.annotations(&request.annotations);
    findings.into_vec()
}

/// One message of an upload, wherever it comes.
pub fn upload(request: &wire::BatonServiceUploadAssetRequest) -> Vec<String> {
    let mut findings = Findings::of("UploadAsset");
    match &request.msg {
        None => findings.demand(false, || "an empty message".to_owned()),
        Some(Msg::Metadata(_)) => {}
        Some(Msg::Data(data)) => {
            findings.demand((1..=CHUNK).contains(&data.data.len()), || {
                format!("{} bytes of data", data.data.len())
            });
        }
        Some(Msg::Eof(eof)) => {
            findings.demand(eof.sha256_checksum.len() == 32, || {
                format!("a checksum of {} bytes", eof.sha256_checksum.len())
            });
            findings.annotations(&eof.annotations);
        }
    }
    findings.into_vec()
}

pub fn finish(request: &wire::BatonServiceFinishTaskRequest, host: &str) -> Vec<String> {
    let mut findings = Findings::of("FinishTask");
    findings.host(&request.host_id, host);
    findings.task(&request.task_id);
    match &request.final_state {
        None => findings.demand(false, || "no final state".to_owned()),
        Some(FinalState::Success(success)) => {
            findings.annotations(&success.annotations);
            findings.demand(request.status.is_none(), || "a success with a status".to_owned());
        }
        Some(FinalState::Error(error)) => {
            findings.annotations(&error.annotations);
            let Some(status) = &request.status else {
                findings.demand(false, || "an error without a status".to_owned());
                return findings.into_vec();
            };
            findings.demand((1..=16).contains(&status.code), || {
                format!("an error of code {}", status.code)
            });
            findings.demand(!status.message.trim().is_empty(), || {
                "an error without words".to_owned()
            });
            findings.demand(status.message.ends_with(NO_RETRY) == error.non_retryable, || {
                format!(
                    "words and mark differ on whether to try again: {:?}",
                    status.message
                )
            });
        }
    }
    findings.into_vec()
}
