//! The settings that the refusal of a registration points at (REG-92).

use crate::failure::{Failure, Kind, Setting};

/// Names the member and the settings that a refusal points at.
pub(super) fn mended(failure: Failure, issuer: &str, scoped: bool) -> Failure {
    /// Settings that a member of the metadata comes from.
    const MEMBERS: [(&str, Setting); 13] = [
        ("redirect_uri", Setting::Redirect),
        ("application_type", Setting::Redirect),
        ("token_endpoint_auth_method", Setting::ClientAuthMethod),
        ("grant_types", Setting::RefreshTokens),
        ("refresh_token", Setting::RefreshTokens),
        ("scope", Setting::RegisterScopes),
        ("client_name", Setting::ClientName),
        ("client_uri", Setting::ClientMetadata),
        ("logo_uri", Setting::ClientMetadata),
        ("tos_uri", Setting::ClientMetadata),
        ("policy_uri", Setting::ClientMetadata),
        ("contacts", Setting::ClientMetadata),
        ("software_", Setting::ClientMetadata),
    ];
    if failure.kind() != Kind::RegistrationFailed {
        return failure;
    }
    let (error, status, text) = failure.said().map_or(("", None, String::new()), |said| {
        (&*said.error, said.status, said.description.clone().unwrap_or_default())
    });
    let mut settings = Vec::with_capacity(2);
    let mut member = None;
    match (error, status) {
        ("invalid_redirect_uri", _) => settings.push(Setting::Redirect),
        ("invalid_software_statement" | "unapproved_software_statement", _) => {
            settings.push(Setting::ClientMetadata);
        }
        (_, Some(401)) => settings.push(Setting::InitialAccessToken),
        (_, Some(403)) => settings.push(Setting::ClientName),
        _ => {
            let named = MEMBERS.into_iter().filter(|(name, _)| text.contains(name));
            if let Some((name, setting)) = named.min_by_key(|(name, _)| text.find(name)) {
                settings.push(setting);
                member = Some(name.trim_end_matches('_'));
            }
        }
    }
    if !scoped && !settings.contains(&Setting::RegisterScopes) {
        settings.push(Setting::RegisterScopes);
    }
    let failure = match member {
        Some(member) => failure.with_subject(member),
        None => failure,
    };
    settings.into_iter().fold(failure, |failure, setting| {
        failure.with_setting(setting, setting.of_issuer().then_some(issuer))
    })
}
