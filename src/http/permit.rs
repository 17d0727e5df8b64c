//! Authorisation as a part of a handler's signature: its last argument says who may call it, and a handler without one is no route.
//!
//! | argument | who |
//! |---|---|
//! | [`Anybody`] | no token is needed |
//! | [`Caller`] | any token |
//! | [`SignedIn`] | people with a session |
//! | [`With<P>`] | roles with the permission |
//! | [`Own<P>`] | the user of the path, and roles with the permission for any user |
//! | [`UserOr<P>`], [`InQueryOr<P>`] | a user for whatever the request says of that user, and roles with the permission for any user |

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use uuid::Uuid;

use super::auth::{self, Caller};
use super::describe::May;
use super::error::ApiError;
use super::rates;
use tidings_decision::privacy::{Access, Permission, Role};

/// Argument of a handler that says who may call it.
pub trait Authority {
    /// Callers.
    const MAY: May;
}

/// Arguments of a handler, the last of which is an [`Authority`].
pub trait Authorised {
    /// Callers of the handler.
    const MAY: May;
}

macro_rules! authorised {
    ($($argument:ident)*) => {
        impl<$($argument,)* Last: Authority> Authorised for ($($argument,)* Last,) {
            const MAY: May = Last::MAY;
        }
    };
}
authorised!();
authorised!(A);
authorised!(A B);
authorised!(A B C);
authorised!(A B C D);
authorised!(A B C D E);
authorised!(A B C D E F);
authorised!(A B C D E F G);

/// A permission as a type.
pub trait Needs: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

macro_rules! needs {
    ($($name:ident)+) => {
        $(
            #[doc = concat!("The permission of that name as a type: [`Permission::", stringify!($name), "`].")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Needs for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )+
    };
}

needs! {
    Monitor ReadFigures ReadDecisions ReadTimelines ReadMessages ReadUsers PersonalData SendMessages EditDefinitions WriteCatalogue WriteUsers
    EraseUsers ReleaseIds SignOutUsers ActForUsers ReportSources Operate ManageWebhooks ManageKeys RevokeTokens ReadAudit
    ManagePeople
}

/// A route without a token.
#[derive(Clone, Copy, Debug)]
pub struct Anybody;

impl Authority for Anybody {
    const MAY: May = May::Anybody;
}

impl FromRequest for Anybody {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(rates::unread(request).map(|()| Self))
    }
}

impl Authority for Caller {
    const MAY: May = May::User;
}

/// A caller whose role has the permission.
#[derive(Clone, Debug)]
pub struct With<P>(Caller, PhantomData<P>);

/// The user of the path, or a caller whose role has the permission.
#[derive(Clone, Debug)]
pub struct Own<P>(Caller, PhantomData<P>);

/// A person who is signed in, with a session and no token.
#[derive(Clone, Debug)]
pub struct SignedIn {
    caller: Caller,
    /// The person.
    pub person: Uuid,
    /// The session.
    pub session: Uuid,
}

impl Deref for SignedIn {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Authority for SignedIn {
    const MAY: May = May::Person;
}

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let caller = auth::caller(&request, None).await?;
            let Access { person, session, .. } = *caller.access();
            let (person, session) = person.zip(session).ok_or(ApiError::NotPermitted)?;
            Ok(Self { caller, person, session })
        })
    }
}

/// A user, or a caller whose role has the permission.
#[derive(Clone, Debug)]
pub struct UserOr<P>(Caller, PhantomData<P>);

/// The same for streams, whose token may be in the query (`?token=`): a browser's `EventSource` can set no header.
#[derive(Clone, Debug)]
pub struct InQueryOr<P>(Caller, PhantomData<P>);

macro_rules! authorities {
    ($($name:ident $may:ident $from:ident,)+) => {
        $(
            impl<P> Deref for $name<P> {
                type Target = Caller;

                fn deref(&self) -> &Caller {
                    &self.0
                }
            }

            impl<P: Needs> Authority for $name<P> {
                const MAY: May = May::$may(P::PERMISSION);
            }

            impl<P: Needs> FromRequest for $name<P> {
                type Error = ApiError;
                type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

                fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                    let request = request.clone();
                    Box::pin(async move { $from(&request, P::PERMISSION).await.map(|caller| Self(caller, PhantomData)) })
                }
            }
        )+
    };
}
authorities! {
    With Needs permitted,
    Own Owner user_or_permitted,
    UserOr UserOr user_or_permitted,
    InQueryOr UserOr user_or_permitted_in_query,
}

async fn permitted(request: &HttpRequest, permission: Permission) -> Result<Caller, ApiError> {
    auth::caller(request, None).await?.with(permission)
}

async fn user_or_permitted(request: &HttpRequest, permission: Permission) -> Result<Caller, ApiError> {
    or_user(auth::caller(request, None).await?, permission)
}

/// Token in the query.
#[derive(Deserialize)]
struct TokenQuery {
    token: Option<String>,
}

async fn user_or_permitted_in_query(
    request: &HttpRequest,
    permission: Permission,
) -> Result<Caller, ApiError> {
    let query = web::Query::<TokenQuery>::from_query(request.query_string()).ok();
    let token = query.and_then(|query| query.into_inner().token);
    or_user(auth::caller(request, token.as_deref()).await?, permission)
}

fn or_user(caller: Caller, permission: Permission) -> Result<Caller, ApiError> {
    match caller.access().role {
        Role::User => Ok(caller),
        _ => caller.with(permission),
    }
}
