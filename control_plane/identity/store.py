"""Which keys a database belongs to."""

from sqlmodel import Field, SQLModel, select

from control_plane.database import Transaction
from control_plane.identity.keys import BundleKey, KeyRing
from control_plane.settings import SettingsInvalid


class SigningKeyRow(SQLModel, table=True):
    __tablename__ = "signing_key"
    use: str = Field(primary_key=True)
    id: str


def claim(tx: Transaction, keys: KeyRing, bundle: BundleKey | None = None) -> None:
    """Note the keys that serve this database. Raises SettingsInvalid when others did before."""
    recorded = {row.use: row.id for row in tx.exec(select(SigningKeyRow))}
    for key in (*keys.all, *([bundle] if bundle is not None else [])):
        known = recorded.get(key.use)
        if known is None:
            tx.add(SigningKeyRow(use=key.use, id=key.id))
        elif known != key.id:
            raise SettingsInvalid(
                f"this database is served with the key {known}, but {key.use}.key here is"
                f" {key.id}; give every replica the same key files (--keys DIR), or restore them"
                " from the backup of the database's time"
            )
    tx.flush()
