//! The methods about what comes from elsewhere: stored states and identities, imports, other types.

use std::collections::BTreeMap;

use proto::tfplugin6 as pb;
use serde_json::Value as Json;

use super::{
    super::{
        Attribute, Diagnostics,
        codec::{self, schema::type_bytes},
        generate,
        identity::Identity,
        provider::Provider,
    },
    Answer, Job, refusal,
    resource::identity,
};

pub(super) async fn identities<P: Provider>(
    job: Job<P>,
    _: pb::get_resource_identity_schemas::Request,
) -> Answer<pb::get_resource_identity_schemas::Response> {
    let resources = job.server.offer().resources.iter();
    let schemas = resources.filter_map(|(name, resource)| {
        let identity = resource.identity()?;
        Some(((*name).to_owned(), identity.into()))
    });
    Ok(pb::get_resource_identity_schemas::Response {
        identity_schemas: schemas.collect::<BTreeMap<_, _>>(),
        diagnostics: Vec::new(),
    })
}

pub(super) async fn upgrade<P: Provider>(
    job: Job<P>,
    request: pb::upgrade_resource_state::Request,
) -> Answer<pb::upgrade_resource_state::Response> {
    let resource = job.resource(&request.type_name)?;
    let state = resource.upgrade(request.version, json(request.raw_state)?)?;
    let mut found = Diagnostics::default();
    Ok(pb::upgrade_resource_state::Response {
        upgraded_state: Some(codec::encode(&state, resource.schema(), &mut found)),
        diagnostics: found.into(),
    })
}

pub(super) async fn upgrade_identity<P: Provider>(
    job: Job<P>,
    request: pb::upgrade_resource_identity::Request,
) -> Answer<pb::upgrade_resource_identity::Response> {
    let resource = job.resource(&request.type_name)?;
    let value = resource.upgrade_identity(request.version, json(request.raw_identity)?)?;
    let mut found = Diagnostics::default();
    Ok(pb::upgrade_resource_identity::Response {
        upgraded_identity: identity(resource, &value, &mut found),
        diagnostics: found.into(),
    })
}

/// Core moves a state between equal types whenever the provider's address changed, even if only the
/// registry is another one.
pub(super) async fn moved<P: Provider>(
    job: Job<P>,
    request: pb::move_resource_state::Request,
) -> Answer<pb::move_resource_state::Response> {
    let (source, target) = (&request.source_type_name, &request.target_type_name);
    let (resource, version) = (job.resource(target)?, request.source_schema_version);
    let address = &request.source_provider_address;
    let state = match is_ours::<P>(address) {
        false => None,
        true if source == target => Some(resource.upgrade(version, json(request.source_state)?)),
        true => resource.moved(source, version, json(request.source_state)?),
    };
    let state = state.unwrap_or_else(|| {
        Err(refusal(
            "Cannot move this resource",
            format!("{source} of {address} cannot become {target}. Import the object instead."),
        ))
    })?;
    let mut found = Diagnostics::default();
    Ok(pb::move_resource_state::Response {
        target_state: Some(codec::encode(&state, resource.schema(), &mut found)),
        target_private: request.source_private,
        target_identity: identity(resource, &state, &mut found),
        diagnostics: found.into(),
    })
}

pub(super) async fn import<P: Provider>(
    job: Job<P>,
    request: pb::import_resource_state::Request,
) -> Answer<pb::import_resource_state::Response> {
    let resource = job.resource(&request.type_name)?;
    let id = match (resource.identity(), request.identity) {
        (_, None) => request.id,
        (Some(identity), Some(given)) => {
            let given = codec::decode(given.identity_data.as_ref(), &identity.schema)?;
            let id = identity.import_id(&given);
            id.map_err(|failure| refusal("Cannot import by this identity", failure.detail))?
        }
        (None, Some(_)) => {
            return Err(refusal(
                "Cannot import by identity",
                "This resource has none: import it by its id.",
            ));
        }
    };
    let outcome = resource.import(&id);
    let mut found = outcome.diagnostics;
    let imported = pb::import_resource_state::ImportedResource {
        type_name: request.type_name,
        state: Some(codec::encode(&outcome.value, resource.schema(), &mut found)),
        private: outcome.private.encode().into(),
        identity: identity(resource, &outcome.value, &mut found),
    };
    Ok(pb::import_resource_state::Response {
        imported_resources: (!found.has_error())
            .then_some(imported)
            .into_iter()
            .collect(),
        diagnostics: found.into(),
        deferred: None,
    })
}

pub(super) async fn generate<P: Provider>(
    job: Job<P>,
    request: pb::generate_resource_config::Request,
) -> Answer<pb::generate_resource_config::Response> {
    let resource = job.resource(&request.type_name)?;
    let state = codec::decode(request.state.as_ref(), resource.schema())?;
    let config = generate::config(resource.schema(), &state);
    let mut found = Diagnostics::default();
    Ok(pb::generate_resource_config::Response {
        config: Some(codec::encode(&config, resource.schema(), &mut found)),
        diagnostics: found.into(),
    })
}

impl From<&Identity> for pb::ResourceIdentitySchema {
    fn from(identity: &Identity) -> Self {
        use pb::resource_identity_schema::IdentityAttribute;
        let rows = identity.schema.attributes.iter();
        let attribute = |(name, row): (&&'static str, &Attribute)| IdentityAttribute {
            name: (*name).to_owned(),
            r#type: type_bytes(&row.ty),
            required_for_import: true,
            optional_for_import: false,
            description: row.doc.clone(),
        };
        Self {
            version: identity.version,
            identity_attributes: rows.map(attribute).collect(),
        }
    }
}

/// What core stored.
fn json(stored: Option<pb::RawState>) -> Answer<Json> {
    codec::decode_json(&stored.unwrap_or_default().json)
}

/// Whether an address is one of this provider, in any registry. `tofu` 1.10 sends the type
/// alone.
fn is_ours<P: Provider>(address: &str) -> bool {
    let name = published_name(address);
    let (_, kind) = P::ADDRESS.rsplit_once('/').unwrap_or_default();
    name == published_name(P::ADDRESS) || name == kind || P::FORMERLY.contains(&name)
}

/// Namespace and type of a provider's address, which are the same in every registry.
fn published_name(address: &str) -> &str {
    address.split_once('/').map_or(address, |(_, name)| name)
}
