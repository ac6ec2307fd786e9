//! What the server must know of each request and reply to run them all alike.

use prost::Message as _;
use proto::tfplugin6 as pb;

use super::{super::Diagnostics, refusal};

/// A request.
pub(super) trait Call: Send + 'static {
    /// The method, as the protocol spells it.
    const NAME: &'static str;
    /// Its reply.
    type Reply: Reply;

    /// The resource type or function that it is about.
    fn subject(&self) -> Option<&str>;

    /// The reply of a request that fails: it loses nothing that core holds.
    fn fallback(&self) -> Self::Reply;
}

/// A reply.
pub(super) trait Reply: Default + Send + 'static {
    /// Adds what went wrong.
    fn fail(&mut self, found: Diagnostics);
}

/// `of` names the field with the subject, `keeps` what a failure's reply takes from the request.
macro_rules! calls {
    ($($name:literal $module:ident
        $(of $subject:ident)? $(keeps { $($reply:ident: $request:ident),* })?
    )*) => {
        $(impl Call for pb::$module::Request {
            const NAME: &'static str = $name;
            type Reply = pb::$module::Response;

            fn subject(&self) -> Option<&str> {
                None$(.or(Some(self.$subject.as_str())))?
            }

            fn fallback(&self) -> Self::Reply {
                Self::Reply {
                    $($($reply: self.$request.clone(),)*)?
                    ..Self::Reply::default()
                }
            }
        })*

        /// The encoded reply to a call that was refused before it got here; `None` for a method that
        /// this version does not know.
        pub(crate) fn refused(method: &str, why: &str) -> Option<Vec<u8>> {
            match method {
                $($name => {
                    let mut reply = pb::$module::Response::default();
                    reply.fail(refusal("Request not understood", why));
                    Some(reply.encode_to_vec())
                })*
                _ => None,
            }
        }
    };
}

calls! {
    "GetMetadata" get_metadata
    "GetProviderSchema" get_provider_schema
    "GetResourceIdentitySchemas" get_resource_identity_schemas
    "ValidateProviderConfig" validate_provider_config
    "ConfigureProvider" configure_provider
    "StopProvider" stop_provider
    "GetFunctions" get_functions
    "CallFunction" call_function of name
    "ValidateDataResourceConfig" validate_data_resource_config of type_name
    "ReadDataSource" read_data_source of type_name
    "ValidateResourceConfig" validate_resource_config of type_name
    "UpgradeResourceState" upgrade_resource_state of type_name
    "MoveResourceState" move_resource_state of target_type_name
    "ImportResourceState" import_resource_state of type_name
    "ReadResource" read_resource of type_name
        keeps { new_state: current_state, private: private, new_identity: current_identity }
    "PlanResourceChange" plan_resource_change of type_name
    "ApplyResourceChange" apply_resource_change of type_name
        keeps { new_state: prior_state, private: planned_private, new_identity: planned_identity }
    "UpgradeResourceIdentity" upgrade_resource_identity of type_name
    "GenerateResourceConfig" generate_resource_config of type_name
    "ValidateEphemeralResourceConfig" validate_ephemeral_resource_config of type_name
    "OpenEphemeralResource" open_ephemeral_resource of type_name
    "RenewEphemeralResource" renew_ephemeral_resource of type_name
        keeps { private: private }
    "CloseEphemeralResource" close_ephemeral_resource of type_name
    "ValidateListResourceConfig" validate_list_resource_config of type_name
}

macro_rules! replies {
    ($($module:ident)*) => {
        $(impl Reply for pb::$module::Response {
            fn fail(&mut self, found: Diagnostics) {
                self.diagnostics.extend(Vec::from(found));
            }
        })*
    };
}

replies! {
    get_metadata
    get_provider_schema
    get_resource_identity_schemas
    validate_provider_config
    configure_provider
    get_functions
    validate_data_resource_config
    read_data_source
    validate_resource_config
    upgrade_resource_state
    move_resource_state
    import_resource_state
    read_resource
    plan_resource_change
    apply_resource_change
    upgrade_resource_identity
    generate_resource_config
    validate_ephemeral_resource_config
    open_ephemeral_resource
    renew_ephemeral_resource
    close_ephemeral_resource
    validate_list_resource_config
}

impl Reply for pb::stop_provider::Response {
    fn fail(&mut self, found: Diagnostics) {
        self.error = told(found);
    }
}

impl Reply for pb::call_function::Response {
    fn fail(&mut self, found: Diagnostics) {
        self.error = Some(pb::FunctionError {
            text: told(found),
            function_argument: None,
        });
    }
}

fn told(found: Diagnostics) -> String {
    let mut found = found.0.into_iter();
    found.next().map_or_else(String::new, |first| first.detail)
}
