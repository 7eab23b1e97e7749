import Signatures
import Testing

/// RFC 7518 §3.5: the salt is as long as the hash, and the mask generator uses the same hash. The signatures
/// are over `message`, by one key, made with the OpenSSL command so that every salt length could be had.
@Suite("RSASSA-PSS parameters")
struct PSSParameterTests {
    static let modulus =
        "da82082ea848f6f78709afccc0f8b82dbb70a0cb5efcae4315eaa62c826108e692a7ffd9df96e88729fd"
        + "586653f3b58f42b8fc76b5a54e9344c38a90c0f151698951d36513de8bdc065d0b6b9eadf28407e37c03"
        + "adde659ff5b061e3404eaa6838f81c9c14313273925cdbf4bab92dc907846932809326ace553f5e6da0e"
        + "b52e0aa780c56c18113adaaf0c623cbf2195f69bf98581a46b348b94f379f0f5b5b25095c55e9a0f07b3"
        + "789fddb6751d5f9472b648ff6e1545981b89903bd0f3833ef05f8b634a39b5e8676f85ddd4553ec6c907"
        + "8c8ff6b67511d0292301b9fb685ef20cc36bfff114dbad22fe01e0315f798dbe227b6c83c0e7222d2cd4"
        + "3f3ba995"

    static let signatures: [(String, String)] = [
        (
            "a salt as long as the hash",
            "3b71705e35afab58e7763230a679b376e11ddb750756cc32c40143827af324e646023b94696dc8546325"
                + "df8bc4c5850d3d8cf40d69d5987f144b1b134ca7e9760070c8d39ebf377d5180e269aed4192886efdcdd"
                + "9a544fdff9535ad9d10273f7327c9e7e4903e7a53c5991e811ec4feab4af2d775a6e180b6305b4ee3dab"
                + "d85580359dc14074fbc9c86960e2eb8eef0af91854387f858cde59a5dec55b83fdc870fd37572e5d1919"
                + "7017f5faddb987bbc9e55a69965129d774ff61af116d481c63c184c0bf26d179c4782576ab9b77db780d"
                + "16533b487767b9667b6048fdb4a8da51418cab5d22f9f3e8c1ef9d7247817180f9ee61689ee9a3bee18e"
                + "b7e2824b"
        ),
        (
            "no salt",
            "b2b18fb2ab4604db848be5dabfa75ee9f650aac0600bf2a687e6d0a0a7c953d03d501ff848c087305cc9"
                + "aac42d282bbc81416182c5d6d7f34ad6ccfdc812566e1eab7709058768fb4d4921d9b0cce57951c5432b"
                + "2e82203d3a729d6d4d54a713c367a6f38e253b86e4b23af59e747cb3db64b2dd5137494be2636f112eaa"
                + "73905ebc9355f6e8c506abf906057d798dd0527c86c2392859e12752f091de46272dc005cf49e9f2e198"
                + "75d2734c85dd948c5a6a03e3d22797028c1ed42b4a9f55644ca707c53655224077faa8c8bad26e2ce77b"
                + "222621d5bfa1ab9b0f4e972d7ceae37c63e991185f9bead2520d6aeb2d4cb5665c1bd9474fff0bc04319"
                + "944e1858"
        ),
        (
            "a salt of 20 bytes",
            "9f3c1d5ae0c3c1b2d3f4524c5f3a4712396b96f6b3d6154b97a22fd41e135465f963851044c3c7158e60"
                + "8daaef6ba825d6e8faeecc3aee5a4e8de4ce07e1c7e509148663523e13d9bbf219fba95d7ee47fd93072"
                + "61b2eb1c9170a3620ff19c4bd8da35fe5944c5f23d3aded57f3d1139f164e16766dac3e4963f750843ee"
                + "cfbce728d13dda8b04af95f7b43eae9654c34a7ba48b2b7296d32416a57fa55ff159174501f083561ffa"
                + "3f8147c49762507b9b332cabad2a97083187bdbfc85dcbd33da7405a59ace79d8151e2d58a13ab08a2ac"
                + "014035562540c96f36e9060b404ff11f177cb141edcbdcf4d38a9ed7229f0dda8fcf286360fa22c12685"
                + "c6aeeaa6"
        ),
        (
            "a salt of 31 bytes",
            "cdcd2f7520cd43f03f453ce6847fe630a7ddb251fdb157048b4d93a38707b6f68752c82aaa1349690e7c"
                + "cb30dfd69f48290c8c48ca6fc8216d2652298ea7112faa863ec41cabf385ed66d459aba33f2e7363c2a3"
                + "ef9efc958206df78714be093c5266b53f8321593262ddddaa239f1e17daea3849c999ae9e6c08a0e45d4"
                + "b8d31dc3ef7d6aaedb22ec85957157ded357f0c5dc114516dc640e09137f183434fbafbf9e5a414a0b2d"
                + "72d1d4960ea953c1da6f5021b649518a83f4d3c4f574dc4522a8a465eb9ad4a33d852c068b2940114b7e"
                + "e6dd5c88166252d63ab8edf8025bfe3109d2a7a781be89729a67428601c0d820930350ab0c7190f20a2f"
                + "ff3704d9"
        ),
        (
            "a salt of 33 bytes",
            "78f0a9bb4f924e25a2490f3f4e67c90c60c783f3f50f2fa427e72c7f11685874245b61af8ca40aef6ec7"
                + "7359596a452d36fdf4c65cac9b37f8dd53c2f05560c58a4c1f4012346f14be1ce539976129d082c35834"
                + "ab83ba4c475f40d2149e9aa74de8bd04956e6f96a16d775c3a3c2d0337e1b5396855a1284ee749559278"
                + "c42330d1515dd1d0281f080a10813aa4a4815993369fd596f559add6aaae30e737bca7762c9fec27d92a"
                + "43e6eb0f6068ea832d10d4261c09d53dfbd8ae64c5b135df649e289f9f566a49c9defc15ed5dd5f745ca"
                + "2f7001f0caedb094d98866a630ce64ff30c4bd6bc781768339128a7d4392d6fbeb67a93fcab28f6ca748"
                + "c8c02c7c"
        ),
        (
            "the longest salt",
            "425f17c898dc721156ebe0678e3ad13930b3ab76804fb5d087da61df6f74f88a9b0b239b8723623f4568"
                + "767d209a8dd5dd3d57ddca6e8c797d403df3a0b722fbedf732aece1ce85308d7874fda2f2231cf414659"
                + "0a291517a2bfd8e917ad4a8f9541bc5572081e54dd0c80e4d929853dda6cf04773ab1280f4f9e273dfc6"
                + "41c0ebc5aae50e585b88e6e32421646e679c672f31202098a0f91e006cf752f890e2b801d4e5d208c68d"
                + "9231f1fdff11c83c978b8622a99715adaedb15148056a1b16b9d7da04d87aa406e660289e6a57435203e"
                + "1c355862ef4e91fedd9a7a6c03ccff58769c2426fe9c9445ba7d923c0b7a4f33f29c305989c286b61306"
                + "ab602b11"
        ),
        (
            "masks made with SHA-1",
            "94893aa29962bb92ea24019e74b4980929744d1c0bebc26ac0fd10e4acb92eeab3c4db8588bca268fc5c"
                + "6a13283a4efffab26e86fcf765f45120c3c36b1036d911e1d2759e628158b513ec019634076e0f3e1cfd"
                + "8c40ea74464afd48e4d25a1a321af82286dbb9eb2704ef1a9f9170bddbce6864e512e49afa16c22e5234"
                + "6f2df7f96b6e3de0361ec4e3646971c92766b8e16b88e8094ae26a39c76a6488f60e61d35d0d027c824d"
                + "9133743124b7b74d0f457c7d8911034b46e1aaead1ef242ea3088246067d1c482a1cb307aedad83c94dc"
                + "052c2c0b8dc86b77d62c8711ddae360542f92dc68071d022681bb24ac473a241eaac19263be29a4ebb34"
                + "e3a38a1d"
        ),
    ]

    @Test("only a salt as long as the hash is taken", arguments: signatures)
    func salts(_ name: String, _ signature: String) throws {
        let exponent = PublicKeyTests.usualExponent
        let key = try PublicKey.rsa(
            modulus: hexadecimal(PSSParameterTests.modulus).span, exponent: exponent.span)
        let verifier = try PreparedVerifier(key: key, algorithm: .ps256)
        let verified = verifier.verifies(bytes("message"), hexadecimal(signature))
        #expect(verified == (name == "a salt as long as the hash"))
    }
}
