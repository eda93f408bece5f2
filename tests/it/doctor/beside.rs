//! What stands beside Coupa: Risk Assess, the mail server, the platform.

use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Patient, closed_port};

#[tokio::test(flavor = "multi_thread")]
async fn settings_about_risk_assess() {
    let patient = Patient::healthy().await;
    let told = async |flags: &[&str]| {
        let mut command = patient.doctor();
        command.args(flags);
        patient.report(command).await
    };
    told(&["--risk-assess-user-sync", "off"])
        .await
        .lacks("risk-assess-settings", 9, &[]);
    told(&["--risk-assess-user-sync", "on", "--risk-assess-delivery", "file"])
        .await
        .warns(&["risk-assess-settings"]);

    let (url, password) = (
        patient.sandbox.risk_assess_url(),
        patient.sandbox.risk_assess_password(),
    );
    let quick = |url: &str, password: &str| {
        let mut command = patient.doctor();
        command
            .args([
                "--risk-assess-delivery",
                "quick-integration",
                "--risk-assess-url",
                url,
            ])
            .args(["--risk-assess-username", patient.sandbox.risk_assess_username()])
            .args(["--risk-assess-password", password]);
        command
    };
    let report = patient.report(quick(&url, &password)).await;
    report.warns(&[]);
    assert_eq!(report.verdict("risk-assess-login"), "fine");
    assert_eq!(
        patient.sandbox.risk_assess().imports().len(),
        1,
        "a file came, and it had no rows"
    );
    patient
        .report(quick(&url, "wrong"))
        .await
        .lacks("risk-assess-login", 16, &[]);
    let closed = closed_port();
    patient
        .report(quick(&format!("http://{closed}"), &password))
        .await
        .lacks("risk-assess-login", 14, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_server() {
    let patient = Patient::healthy().await;
    let told = async |url: &str, flags: &[&str]| {
        let mut command = patient.doctor();
        command.args(["--smtp-url", url]).args(flags);
        patient.report(command).await
    };
    let to = ["--risk-assess-admin-email", "admin@example.com"];
    let url = patient.sandbox.smtp_url();
    told(&url, &to).await.warns(&[]);
    told(&url, &[]).await.warns(&["mail-server"]);
    let closed = closed_port();
    told(&format!("smtp://{closed}"), &to)
        .await
        .lacks("mail-server", 14, &[]);
    assert!(patient.sandbox.mail().messages().is_empty(), "nothing is mailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform() {
    let patient = Patient::healthy().await;
    // The key of RFC 8037, appendix A.
    let key = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = URL_SAFE_NO_PAD.encode(key);
    let told = async |id: &str, secret: &str| {
        let mut command = patient.doctor();
        command.args(["--client-id", id, "--client-secret", secret]);
        let report = patient.report(command).await;
        assert!(!report.everything.contains(&key) && !report.everything.contains("happy-fox"));
        report
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    let (id, secret) = (
        format!("happy-fox@{host}/bxc"),
        format!("secret-token:example.com:v1:{key}"),
    );
    told(&id, &secret).await.warns(&[]);
    for (id, secret) in [("happy-fox", secret.as_str()), (&id, "secret-token")] {
        told(id, secret)
            .await
            .lacks("platform-credentials", 3, &["platform-host"]);
    }
    drop(listener);
    told(&id, &secret).await.lacks("platform-host", 14, &[]);
}
