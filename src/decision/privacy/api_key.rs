//! API keys of services: `tdg_` and 256 random bits as base64url. A key is shown once; its SHA-256 is kept, which no guessing undoes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::access::Access;
use super::origin::Origin;
use super::permission::Permission;
use super::role::Role;
use super::scope::Scope;
use super::token_error::TokenError;
use tidings_core::base::Timestamp;

/// Begin of every key, by which people and scanners of repositories tell one.
pub const PREFIX: &str = "tdg_";
/// Random bytes of a key.
pub const BYTES: usize = 32;
/// Characters of a key that are shown afterwards.
const HINT_CHARS: usize = 10;

/// SHA-256 of a key.
pub type KeyHash = [u8; 32];

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// Name in records.
    pub name: String,
    /// Hash of the key.
    pub hash: KeyHash,
    /// Role.
    pub role: Role,
    /// Permissions in place of those of the role; empty = those of the role.
    pub permissions: Vec<Permission>,
    /// Areas it is confined to; empty = all that the role may.
    pub scopes: Vec<Scope>,
    /// Places it may be used from; empty = anywhere.
    pub origins: Vec<Origin>,
    /// End of its validity.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Permissions of the key.
    pub fn may(&self) -> &[Permission] {
        if self.permissions.is_empty() { self.role.permissions() } else { &self.permissions }
    }

    /// Checks that the key is at most as wide as its maker: in permissions, and in the bounds of an API key that makes it. That the
    /// token or the session of a maker ends is no bound: whoever has it gets another.
    pub fn is_within(&self, maker: &Access) -> Result<(), Wider> {
        if let Some(more) = self.may().iter().find(|permission| !maker.may(**permission)) {
            return Err(Wider::Permission(*more));
        }
        if let Some(own) = &maker.scopes
            && (self.scopes.is_empty() || !self.scopes.iter().all(|scope| maker.has_scope(*scope)))
        {
            return Err(Wider::Scopes(Arc::clone(own)));
        }
        let is_among = |own: &[Origin], place: &Origin| own.iter().any(|own| own.includes(place));
        if let Some(own) = &maker.origins
            && (self.origins.is_empty() || !self.origins.iter().all(|place| is_among(own, place)))
        {
            return Err(Wider::Origins(Arc::clone(own)));
        }
        match maker.expires_at.filter(|_| maker.api_key.is_some()) {
            Some(end) if self.expires_at.is_none_or(|own| own > end) => Err(Wider::End(end)),
            _ => Ok(()),
        }
    }
}

/// Checks that an account of a person with this role may at most what its maker may. A person has none of the bounds of an API key, so
/// one that has any gives nobody anything.
pub fn account_is_within(role: Role, maker: &Access) -> Result<(), Wider> {
    if let Some(more) = role.permissions().iter().find(|permission| !maker.may(**permission)) {
        return Err(Wider::Permission(*more));
    }
    let is_bound = maker.scopes.is_some() || maker.origins.is_some() || maker.expires_at.is_some();
    if maker.api_key.is_some() && is_bound { Err(Wider::Account) } else { Ok(()) }
}

/// Bound of an API key within which it makes others.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Wider {
    /// A permission that the maker lacks.
    #[error("this needs the permission {}, which the role does not have", .0.name())]
    Permission(Permission),
    /// An area that the maker is not confined to, or none.
    #[error("{}: give it scopes among {}", AT_MOST, listed(.0))]
    Scopes(Arc<[Scope]>),
    /// A place that the maker may not be used from, or any.
    #[error("{}: give it origins within {}", AT_MOST, listed(.0))]
    Origins(Arc<[Origin]>),
    /// An end after that of the maker, or none.
    #[error("{}: give it an expires_at of {} or before", AT_MOST, .0)]
    End(Timestamp),
    /// A person, who has no bounds.
    #[error(
        "an API key with scopes, origins or an end gives nobody an account, a role or a link: people have none of these bounds"
    )]
    Account,
}

const AT_MOST: &str = "an API key makes none that may more than itself";

fn listed(all: &[impl ToString]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Wider {
    /// Field of a key, or of an account, that is at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Permission(_) => "permissions",
            Self::Scopes(_) => "scopes",
            Self::Origins(_) => "origins",
            Self::End(_) => "expires_at",
            Self::Account => "role",
        }
    }
}

/// Text of a key of these random bytes.
pub fn text(random: &[u8; BYTES]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// Hash of a key.
pub fn hash(key: &str) -> KeyHash {
    Sha256::digest(key.as_bytes()).into()
}

/// Part of a key that is shown afterwards.
pub fn hint(key: &str) -> String {
    key.chars().take(HINT_CHARS).collect()
}

/// Origin of a request: address and page.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// `Origin` of a page.
    pub origin: Option<String>,
}

/// The keys that are valid at one moment, by their hashes.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(HashMap<KeyHash, ApiKey>);

impl FromIterator<ApiKey> for ApiKeys {
    fn from_iter<I: IntoIterator<Item = ApiKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.hash, key)).collect())
    }
}

impl ApiKeys {
    /// Access rights of a key. The look-up is by hash, so its time tells nothing of the key.
    pub fn verify(&self, key: &str, client: &Client, now: Timestamp) -> Result<Access, TokenError> {
        let known = self.0.get(&hash(key)).ok_or(TokenError::UnknownApiKey)?;
        if known.expires_at.is_some_and(|end| end <= now) {
            return Err(TokenError::Expired);
        }
        let page = client.origin.as_deref();
        let is_from = |origin: &Origin| origin.is_of(client.address, page);
        if !known.origins.is_empty() && !known.origins.iter().any(is_from) {
            return Err(TokenError::Elsewhere);
        }
        Ok(Access {
            role: known.role,
            subject: Some(known.name.clone()),
            name: known.name.clone(),
            api_key: Some(known.id),
            expires_at: known.expires_at,
            scopes: (!known.scopes.is_empty()).then(|| known.scopes.as_slice().into()),
            origins: (!known.origins.is_empty()).then(|| known.origins.as_slice().into()),
            permissions: (!known.permissions.is_empty()).then(|| known.permissions.as_slice().into()),
            ..Access::open()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn key(scopes: &[&str], origins: &[&str]) -> (String, ApiKeys) {
        let text = text(&[7; BYTES]);
        let key = ApiKey {
            id: Uuid::nil(),
            name: "shop".into(),
            hash: hash(&text),
            role: Role::Service,
            permissions: Vec::new(),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            origins: origins.iter().map(|origin| origin.parse().unwrap()).collect(),
            expires_at: Some(NOW.plus_days(1.0)),
        };
        (text, [key].into_iter().collect())
    }

    fn from(address: &str, origin: Option<&str>) -> Client {
        Client { address: address.parse().ok(), origin: origin.map(str::to_owned) }
    }

    #[test]
    fn a_key_grants_its_role_within_its_scopes_until_it_expires() {
        let (text, keys) = key(&["events:write"], &[]);
        assert!(text.starts_with("tdg_") && text.len() == 47);
        let access = keys.verify(&text, &Client::default(), NOW).unwrap();
        assert_eq!((access.role, access.name.as_str()), (Role::Service, "shop"));
        assert!(access.has_scope("events:write".parse().unwrap()));
        assert!(!access.has_scope("items:read".parse().unwrap()));
        assert_eq!(keys.verify(&text, &Client::default(), NOW.plus_days(1.0)), Err(TokenError::Expired));
        assert_eq!(keys.verify("tdg_guessed", &Client::default(), NOW), Err(TokenError::UnknownApiKey));
        assert_eq!(hint(&text).len(), 10);
    }

    #[test]
    fn a_key_with_permissions_of_its_own_has_these_and_no_other() {
        let text = text(&[7; BYTES]);
        let (_, keys) = key(&[], &[]);
        let mut own = keys.0.into_values().next().unwrap();
        own.permissions = vec![Permission::ReadAudit];
        let keys: ApiKeys = [own].into_iter().collect();
        let access = keys.verify(&text, &Client::default(), NOW).unwrap();
        assert_eq!(access.permissions(), [Permission::ReadAudit]);
        let user = tidings_core::base::ExternalId::parse("17").unwrap();
        assert!(!access.may(Permission::ReadUsers) && !access.may_for(&user, Permission::ActForUsers));
        assert!(crate::privacy::mask::applies(&access), "it has no personal data");
    }

    #[test]
    fn a_key_is_used_from_its_origins_only() {
        let (text, keys) = key(&[], &["10.0.0.0/8", "https://shop.example"]);
        let used = |client: Client| keys.verify(&text, &client, NOW).map(|_| ());
        assert_eq!(used(from("10.1.2.3", None)), Ok(()));
        assert_eq!(used(from("::ffff:10.1.2.3", None)), Ok(()));
        assert_eq!(used(from("8.8.8.8", Some("https://SHOP.example"))), Ok(()));
        assert_eq!(used(from("8.8.8.8", Some("https://shop.example.evil"))), Err(TokenError::Elsewhere));
        assert_eq!(used(Client::default()), Err(TokenError::Elsewhere), "nobody knows from where");
    }

    #[test]
    fn a_key_with_any_bound_gives_nobody_an_account() {
        let unbound = Access { role: Role::Admin, api_key: Some(Uuid::nil()), ..Access::open() };
        assert_eq!(account_is_within(Role::Admin, &unbound), Ok(()));
        let places: Vec<Origin> = vec!["10.0.0.0/8".parse().unwrap()];
        for bound in [
            Access { scopes: Some(["admin:write".parse::<Scope>().unwrap()].into()), ..unbound.clone() },
            Access { origins: Some(places.into()), ..unbound.clone() },
            Access { expires_at: Some(NOW), ..unbound.clone() },
        ] {
            assert_eq!(account_is_within(Role::Viewer, &bound), Err(Wider::Account), "{bound:?}");
        }
        // The session and the token of a person end, and there is another.
        let signed_in = Access { role: Role::Admin, expires_at: Some(NOW), ..Access::open() };
        assert_eq!(account_is_within(Role::Admin, &signed_in), Ok(()));
        let less = Access { role: Role::Viewer, ..unbound };
        assert!(matches!(account_is_within(Role::Operator, &less), Err(Wider::Permission(_))));
    }

    #[test]
    fn a_key_makes_none_that_is_wider_than_itself() {
        let (text, keys) = key(&["admin:write", "items:read"], &["10.0.0.0/8", "https://shop.example"]);
        let maker = keys.verify(&text, &from("10.0.0.1", None), NOW).unwrap();
        let wider = |scopes: &[&str], origins: &[&str], expires_at: Option<Timestamp>| {
            let (_, keys) = key(scopes, origins);
            let made = ApiKey { expires_at, ..keys.0.into_values().next().unwrap() };
            made.is_within(&maker).err().map(|wider| (wider.field(), wider.to_string()))
        };
        let end = Some(NOW.plus_days(1.0));
        assert_eq!(wider(&["admin:read"], &["10.1.0.0/16"], end), None);
        assert_eq!(wider(&["items:read"], &["https://SHOP.example", "10.0.0.7"], Some(NOW)), None);
        for (scopes, origins, end, field, says) in [
            (&[][..], &["10.0.0.7"][..], end, "scopes", "admin:write, items:read"),
            (&["items:write"], &["10.0.0.7"], end, "scopes", "admin:write, items:read"),
            (&["admin:read"], &[], end, "origins", "10.0.0.0/8, https://shop.example"),
            (&["admin:read"], &["10.0.0.7", "11.0.0.1"], end, "origins", "10.0.0.0/8"),
            (&["admin:read"], &["0.0.0.0/0"], end, "origins", "10.0.0.0/8"),
            (&["admin:read"], &["https://evil.example"], end, "origins", "https://shop.example"),
            (&["admin:read"], &["10.0.0.7"], None, "expires_at", "2027-01-16T"),
            (&["admin:read"], &["10.0.0.7"], Some(NOW.plus_days(1.1)), "expires_at", "2027-01-16T"),
        ] {
            let (named, text) = wider(scopes, origins, end).unwrap();
            assert!(named == field && text.contains(says), "{scopes:?} {origins:?} {end:?}: {named} {text}");
        }
        // A token ends and its holder gets another; what it may not, its keys may not.
        let (_, keys) = key(&[], &[]);
        let made = ApiKey { expires_at: None, ..keys.0.into_values().next().unwrap() };
        let token = Access { role: Role::Admin, expires_at: end, ..Access::open() };
        assert_eq!(made.is_within(&token), Ok(()));
        let less = Access { role: Role::Viewer, ..Access::open() };
        assert!(matches!(made.is_within(&less), Err(Wider::Permission(_))));
    }
}
