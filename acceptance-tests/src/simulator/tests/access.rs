//! Users, groups and roles, as who administers them sees them.

use serde_json::json;

use super::Lab;

#[tokio::test]
async fn users_groups_and_roles_are_changed_and_forgotten() {
    let mut lab = Lab::new().await;
    lab.token = lab
        .simulator
        .token_with("User.Modify Realm.AllocateUser Group.Allocate Sys.Modify Sys.Audit");
    let done = async |method: &str, path: &str, params| {
        let answer = lab.call(method, path, params).await;
        assert_eq!(answer.line(), "200 OK", "{path} {}", answer.body);
    };
    done(
        "POST",
        "/access/groups",
        json!({"groupid": "devs", "comment": "c"}),
    )
    .await;
    done(
        "POST",
        "/access/users",
        json!({"userid": "a@pve", "email": "a@example.test"}),
    )
    .await;
    let change = json!({"groups": "devs", "firstname": "A", "email": "", "enable": 0});
    done("PUT", "/access/users/a@pve", change).await;
    let user = lab.get("/access/users/a@pve").await;
    let expected = json!({"enable": 0, "groups": ["devs"], "tokens": null, "firstname": "A"});
    assert_eq!(user, expected);
    let group = lab.get("/access/groups/devs").await;
    assert_eq!(group, json!({"members": ["a@pve"], "comment": "c"}));
    done("DELETE", "/access/groups/devs", json!({})).await;
    assert_eq!(lab.get("/access/users/a@pve").await["groups"], json!([]));
    done(
        "POST",
        "/access/roles",
        json!({"roleid": "R", "privs": "VM.Audit"}),
    )
    .await;
    done(
        "PUT",
        "/access/roles/R",
        json!({"privs": "VM.Clone", "append": 1}),
    )
    .await;
    assert_eq!(
        lab.get("/access/roles/R").await,
        json!({"VM.Audit": 1, "VM.Clone": 1})
    );
    let refused = [
        (
            "/access/roles/PVEAdmin",
            "500 modify role failed: auto-generated role 'PVEAdmin' cannot be modified",
        ),
        (
            "/access/groups/devs",
            "500 update group failed: group 'devs' does not exist",
        ),
        (
            "/access/users/b@pve",
            "500 update user failed: no such user ('b@pve')",
        ),
    ];
    for (path, line) in refused {
        assert_eq!(lab.call("PUT", path, json!({})).await.line(), line);
    }
}
