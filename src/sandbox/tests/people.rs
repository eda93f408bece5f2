//! People: addresses and phones, edits of a person, licenses of newcomers, and conditions that are not heeded.

use std::collections::BTreeSet;

use super::*;

impl Tenant {
    fn read_with(&self, readings: Readings) {
        self.running.set_readings(readings);
    }

    async fn address_of(&self, user: u64) -> Value {
        let path = format!(
            "/api/users/{user}?fields=[{{\"default_address\":[\"street1\",\"state_iso_code\",\"country\"]}}]"
        );
        self.rest(&path).await.1["default-address"].clone()
    }
}

#[tokio::test]
async fn an_address_is_written_by_code_name_or_text() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone().id;
    let german = json!({ "code": "DE", "name": "Germany" });
    for country in [
        json!("DE"),
        json!("Germany"),
        json!({ "code": "DE" }),
        json!({ "name": "Germany" }),
    ] {
        let address = json!({ "street1": "1 A St", "state-iso-code": "DE-BY", "country": country });
        let (status, _) = tenant.put(user, json!({ "default-address": address })).await;
        assert_eq!(status, StatusCode::OK);
        let shown = tenant.address_of(user).await;
        assert_eq!(
            (&shown["street1"], &shown["state_iso_code"]),
            (&json!("1 A St"), &json!("DE-BY"))
        );
        assert_eq!(
            (&shown["country"]["code"], &shown["country"]["name"]),
            (&german["code"], &german["name"])
        );
    }
    let (_, whole) = tenant
        .put(
            user,
            json!({ "default_address": { "street1": "2 B St", "country": "Moon" } }),
        )
        .await;
    assert_eq!(whole["default-address"]["street1"], "2 B St");
    assert_eq!(
        whole["default-address"]["country"],
        Value::Null,
        "a country nobody knows says nothing"
    );
    tenant
        .put(user, json!({ "default-address": null, "phone-work": null }))
        .await;
    let now = tenant.truly(user);
    assert!(now.default_address.is_none() && now.phone_work.is_none());
}

#[tokio::test]
async fn a_country_may_be_a_text_on_either_surface() {
    let tenant = Tenant::small().await;
    let mut users = tenant.running.truth().users.into_iter();
    let user = users
        .find(|user| {
            user.default_address
                .as_ref()
                .is_some_and(|address| address.country.is_some())
        })
        .unwrap();
    let country = user.default_address.unwrap().country.unwrap();
    let graphql = async |inner: &str| {
        let query = format!(
            "{{ user(id: {}) {{ defaultAddress {{ country{inner} }} }} }}",
            user.id
        );
        tenant.graphql(&query, json!({})).await
    };
    for (form, text) in [
        (CountryForm::Code, country.code),
        (CountryForm::Name, country.name),
    ] {
        tenant.read_with(Readings {
            country: PerSurface::both(form),
            ..Readings::default()
        });
        assert_eq!(tenant.address_of(user.id).await["country"], json!(text));
        let answer = graphql("").await;
        assert_eq!(answer["data"]["user"]["defaultAddress"]["country"], json!(text));
        let answer = graphql(" { code }").await;
        assert!(
            answer["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains("country")
        );
        let described = tenant
            .graphql(
                "{ __type(name: \"Address\") { fields { name type { name } } } }",
                json!({}),
            )
            .await;
        let fields = described["data"]["__type"]["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["name"] == "country").unwrap();
        assert_eq!(field["type"]["name"], "String");
    }
}

#[tokio::test]
async fn licenses_of_newcomers_are_taken_as_the_readings_say() {
    for (n, reading) in [
        NewcomerLicenses::Given,
        NewcomerLicenses::Ignored,
        NewcomerLicenses::Rejected,
    ]
    .into_iter()
    .enumerate()
    {
        let tenant = Tenant::writing().await;
        tenant.read_with(Readings {
            newcomer_licenses: reading,
            ..Readings::default()
        });
        let body = |license: &str| json!({ "login": format!("n{n}"), "email": format!("n{n}@x.example"), "firstname": "N", "lastname": "N", license: true });
        let (status, answer) = tenant.call("POST", "/api/users", body("risk-assess-user")).await;
        match reading {
            NewcomerLicenses::Rejected => {
                assert_eq!(status, StatusCode::BAD_REQUEST);
                let text = answer.to_string();
                assert!(text.contains("Risk assess user"), "{text}");
            }
            NewcomerLicenses::Given | NewcomerLicenses::Ignored => {
                assert_eq!(status, StatusCode::CREATED);
                let given = reading == NewcomerLicenses::Given;
                assert_eq!(answer["risk-assess-user"], json!(given));
                let id = answer["id"].as_u64().unwrap();
                tenant.put(id, json!({ "risk-assess-user": true })).await;
                assert_eq!(tenant.truly(id).licenses, ["risk-assess-user"], "a PUT works");
            }
        }
    }
}

#[tokio::test]
async fn conditions_can_be_passed_over_or_refused() {
    let tenant = Tenant::small().await;
    let path = "/api/users?risk_assess_user=true&limit=50&fields=[\"id\"]";
    let heeded = ids(&tenant.rest(path).await.1);
    let names = vec!["risk-assess-user".to_owned()];
    let mut readings = Readings::default();
    readings.ignored_filters.rest.clone_from(&names);
    tenant.read_with(readings);
    assert!(ids(&tenant.rest(path).await.1).len() > heeded.len());
    assert_eq!(
        tenant.rest("/api/users?active=false&id[gt]=0").await.0,
        StatusCode::OK
    );
    let mut readings = Readings::default();
    readings.refused_filters.graphql = names;
    tenant.read_with(readings);
    assert_eq!(
        ids(&tenant.rest(path).await.1),
        heeded,
        "each surface has its own switch"
    );
    let query = "{ users(query: \"risk_assess_user=true\") { id } }";
    assert!(tenant.graphql(query, json!({})).await["errors"].is_array());
}

#[tokio::test]
async fn somebody_else_can_make_of_a_person_what_the_api_would_refuse() {
    let tenant = Tenant::small().await;
    let user = tenant.someone();
    let other = tenant.running.truth().users;
    let mut other = other.into_iter().filter(|other| other.id != user.id);
    let other = other.find(|other| other.email.is_some()).unwrap();
    let before = tenant.running.updated_at(user.id);
    let edit = |edit: ProfileEdit| {
        tenant.running.edit(&Edit {
            user: user.id,
            change: Change::SetProfile(Box::new(edit)),
        })
    };
    edit(ProfileEdit {
        login: Some("new.login".to_owned()),
        email: other.email.clone().map(|email| email.to_uppercase()),
        middlename: Some("M".to_owned()),
        empty: vec!["lastname".to_owned(), "default-address".to_owned()],
        phone_work: Some(Phone {
            number: Some("12345".to_owned()),
            ..Phone::default()
        }),
        ..ProfileEdit::default()
    })
    .unwrap();
    let now = tenant.truly(user.id);
    assert_eq!((now.login.as_str(), now.last_name.as_str()), ("new.login", ""));
    assert_eq!(
        now.email.map(|email| email.to_lowercase()),
        other.email.map(|email| email.to_lowercase())
    );
    assert_eq!(now.phone_work.unwrap().number.as_deref(), Some("12345"));
    assert!(now.default_address.is_none() && tenant.running.updated_at(user.id) > before);
    assert_eq!(now.first_name, user.first_name, "what is not named stays");
    let unknown = ProfileEdit {
        login: Some("other".to_owned()),
        empty: vec!["shoe-size".to_owned()],
        ..ProfileEdit::default()
    };
    assert_eq!(edit(unknown.clone()), Err(UnknownReference));
    assert_eq!(tenant.truly(user.id).login, "new.login");
    let told = serde_json::to_string(&unknown).unwrap();
    assert_eq!(serde_json::from_str::<ProfileEdit>(&told).unwrap(), unknown);
    assert!(!format!("{unknown:?}").contains("other"));
}

#[tokio::test]
async fn people_are_awkward_on_purpose() {
    let truth = Tenant::small().await.running.truth();
    let addresses: Vec<_> = truth
        .users
        .iter()
        .filter_map(|user| user.default_address.clone())
        .collect();
    let long = |address: &Address| {
        address
            .street1
            .as_ref()
            .is_some_and(|street| street.chars().count() > 64)
    };
    assert!(addresses.len() < truth.users.len() && addresses.iter().any(long));
    assert!(
        addresses
            .iter()
            .any(|address| address.country.is_none() && address.city.is_some())
    );
    assert!(
        addresses
            .iter()
            .any(|address| address.state_iso_code.as_deref() == Some("US-WM"))
    );
    let codes: BTreeSet<_> = addresses
        .iter()
        .filter_map(|address| address.country.clone()?.code)
        .collect();
    assert!(codes.len() >= 5);
    let phones: Vec<_> = truth
        .users
        .iter()
        .filter_map(|user| user.phone_work.clone())
        .collect();
    assert!(phones.iter().any(|phone| phone.extension.is_some()));
    assert!(
        phones
            .iter()
            .any(|phone| phone.country_code.as_deref() == Some("1"))
    );
    let idle = |user: &TruthUser| !user.active && user.licenses.iter().any(|name| name == "risk-assess-user");
    assert!(truth.users.iter().any(idle), "a seat nobody uses");
}
